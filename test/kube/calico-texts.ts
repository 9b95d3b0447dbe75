interface PoolFields {
  readonly cidr?: string;
  readonly blockSize?: number;
  readonly natOutgoing?: boolean;
  readonly ipipMode?: string;
  readonly vxlanMode?: string;
}

/** An IPPool as Calico's operator makes it, with fields of the test's own. */
export function ipPool(fields: PoolFields = {}): string {
  const spec = {
    cidr: "10.244.0.0/16",
    blockSize: 26,
    natOutgoing: true,
    nodeSelector: "all()",
    allowedUses: ["Workload", "Tunnel"],
    ...fields,
  };
  return `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: ${JSON.stringify(spec)}
`;
}
