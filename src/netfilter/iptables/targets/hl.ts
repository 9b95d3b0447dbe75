import type { TargetExtension } from "../extension.js";
import { hopLimitTarget } from "../hop-limit.js";

/** `-j HL` of IPv6: writes the hop limit. */
export const hl: TargetExtension = hopLimitTarget({
  name: "HL",
  prefix: "hl",
  family: "ipv6",
  mirrors: "net/netfilter/xt_HL.c:hl_tg6()",
  examples: ["--hl-set 64", "--hl-inc 1", "--hl-dec 3"],
  refusal: "HL: You must specify an action",
});
