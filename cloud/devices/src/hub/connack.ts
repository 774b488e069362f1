/** CONNACK codes as ThingsBoard chooses them: an MQTT 5 reason first, which older versions get translated. */

export const connackReasons = {
  accepted: 0x00,
  clientIdentifierNotValid: 0x85,
  badUsernameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  connectionRateExceeded: 0x9f,
} as const;

export type ConnackReason = (typeof connackReasons)[keyof typeof connackReasons];

/** MQTT 3.1 and 3.1.1 know six codes only. */
export function connackReturnCode(reason: ConnackReason): number {
  switch (reason) {
    case connackReasons.accepted:
      return 0;
    case connackReasons.clientIdentifierNotValid:
      return 2;
    case connackReasons.serverUnavailable:
    case connackReasons.connectionRateExceeded:
      return 3;
    default:
      return 5;
  }
}

export interface Login {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Why a login that no credential fits is refused, by which fields the client filled in. */
export function refusalReason({ clientId, username, password }: Login): ConnackReason {
  const user = (username ?? '') !== '';
  const pass = (password ?? '') !== '';
  const client = clientId.trim() !== '';
  if ((user && pass && client) || user !== pass) return connackReasons.badUsernameOrPassword;
  return client ? connackReasons.clientIdentifierNotValid : connackReasons.notAuthorized;
}
