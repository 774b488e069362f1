/** Who a device's session is: everything it may touch follows from this. */
export interface EdgeIdentity {
  readonly id: string;
  readonly tenantId: string;
  readonly areaId: string;
  readonly name: string;
}
