import { type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { string, u32 } from "../values.js";

const GROUP = option("ulog-nlgroup", u32);
const PREFIX = option("ulog-prefix", string(1, 31));
const RANGE = option("ulog-cprange", u32);
const THRESHOLD = option("ulog-qthreshold", u32);

/** `-j ULOG`: gone from current kernels, which refuse it. */
export const ulog: TargetExtension = defineTarget<undefined>({
  name: "ULOG",
  family: "ipv4",
  mirrors: "net/ipv4/netfilter/ipt_ULOG.c (removed)",
  fidelity: "exact",
  examples: [],
  options: [GROUP, PREFIX, RANGE, THRESHOLD],
  missingInKernel: true,
  parse: () => undefined,
  format: () => "",
});
