/** For work that is tried again every second: an outage is said once, however long it takes. */
export function sayOnce(report?: (error: unknown) => void): { failed(error: unknown): void; worked(): void } {
  let said = '';
  return {
    failed: (error) => {
      if (String(error) !== said) report?.(error);
      said = String(error);
    },
    worked: () => {
      said = '';
    },
  };
}
