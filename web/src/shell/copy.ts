/** Copies what a field shows. False where that is not allowed, as without TLS: the text is chosen then, to be copied by hand. */
export async function copyFrom(fieldId: string): Promise<boolean> {
  const field = document.getElementById(fieldId) as HTMLInputElement | HTMLTextAreaElement | null;
  const copied = await navigator.clipboard?.writeText(field?.value ?? '').then(
    () => true,
    () => false,
  );
  if (!copied) field?.select();
  return copied ?? false;
}
