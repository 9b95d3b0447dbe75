import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag } from "../options.js";

const FILL = flag("checksum-fill", { must: true });

/** `-j CHECKSUM --checksum-fill`: finishes a checksum left to the hardware; frames here always carry it. */
export const checksum: TargetExtension = defineTarget<undefined>({
  name: "CHECKSUM",
  mirrors: "net/netfilter/xt_CHECKSUM.c:checksum_tg()",
  fidelity: "exact",
  examples: ["--checksum-fill"],
  options: [FILL],
  only: { tables: ["mangle"] },
  parse: () => undefined,
  format: () => "--checksum-fill",
  apply: () => CONTINUE,
});
