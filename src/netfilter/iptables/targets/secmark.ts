import { type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { string } from "../values.js";

const CONTEXT = option("selctx", string(1, 255), { must: true });

/** `-j SECMARK`: an SELinux label; the kernel refuses one that no policy knows, and there is no policy here. */
export const secmark: TargetExtension = defineTarget<string>({
  name: "SECMARK",
  mirrors: "net/netfilter/xt_SECMARK.c:secmark_tg_check()",
  fidelity: "exact",
  examples: [],
  options: [CONTEXT],
  only: { tables: ["mangle", "security"] },
  parse: (args) => args.need(CONTEXT).value,
  format: (context) => `--selctx ${context}`,
  refuses: () => "No such file or directory",
});
