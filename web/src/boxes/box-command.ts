/** As the box reads them: see `boxConfig` of the `dipper` command. */
export interface BoxSettings {
  readonly name: string;
  readonly starMqttUrl: string;
  readonly provisionKey: string;
  readonly provisionSecret: string;
}

/** The text of `dipper.json`. */
export const boxSettings = (settings: BoxSettings): string => JSON.stringify(settings, null, 1);

/** For a shell on the box: writes the settings, for its user's eyes only, and starts the box. Nothing in them ends the quoted text. */
export const boxCommand = (settings: string): string =>
  ["mkdir -p dipper && chmod 700 dipper && cat > dipper/dipper.json <<'END'", settings, 'END', 'npx dipper run --data dipper', ''].join(
    '\n',
  );
