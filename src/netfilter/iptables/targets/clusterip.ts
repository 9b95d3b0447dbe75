import { type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { mac, text, u16, u32 } from "../values.js";

const NEW = flag("new");
const HASHMODE = option("hashmode", text);
const MAC = option("clustermac", mac);
const TOTAL = option("total-nodes", u16);
const LOCAL = option("local-node", u16);
const INIT = option("hash-init", u32);

/** `-j CLUSTERIP`: gone from current kernels, which refuse it. */
export const clusterip: TargetExtension = defineTarget<undefined>({
  name: "CLUSTERIP",
  family: "ipv4",
  mirrors: "net/ipv4/netfilter/ipt_CLUSTERIP.c (removed)",
  fidelity: "exact",
  examples: [],
  options: [NEW, HASHMODE, MAC, TOTAL, LOCAL, INIT],
  missingInKernel: true,
  parse: () => undefined,
  format: () => "",
});
