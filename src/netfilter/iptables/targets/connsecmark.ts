import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag } from "../options.js";
import { refuse } from "../refusal.js";

const SAVE = flag("save", { excludes: ["restore"] });
const RESTORE = flag("restore", { excludes: ["save"] });

/** `-j CONNSECMARK`: copies SELinux labels between packet and connection; nothing is labelled here. */
export const connsecmark: TargetExtension = defineTarget<"save" | "restore">({
  name: "CONNSECMARK",
  mirrors: "net/netfilter/xt_CONNSECMARK.c:connsecmark_tg()",
  fidelity: "exact",
  examples: ["--save", "--restore"],
  options: [SAVE, RESTORE],
  only: { tables: ["mangle", "security"] },
  tracks: true,
  check(args) {
    if (args.all.length === 0) throw refuse("CONNSECMARK target: parameter required");
  },
  parse: (args) => (args.has(SAVE) ? "save" : "restore"),
  format: (operation) => `--${operation}`,
  apply: () => CONTINUE,
});
