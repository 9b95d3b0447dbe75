/** flannel's ConfigMap as its manifest has it, with a backend of the test's choice. */
export function flannelConfigMap(backend: string, network = "10.244.0.0/16"): string {
  return `apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  cni-conf.json: |
    {
      "name": "cbr0",
      "cniVersion": "0.3.1",
      "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
        {"type": "portmap", "capabilities": {"portMappings": true}}
      ]
    }
  net-conf.json: |
    {"Network": "${network}", "EnableNFTables": false, "Backend": ${backend}}
`;
}
