import type { TargetExtension } from "../extension.js";
import { hopLimitTarget } from "../hop-limit.js";

/** `-j TTL`: writes the time to live. */
export const ttl: TargetExtension = hopLimitTarget({
  name: "TTL",
  prefix: "ttl",
  family: "ipv4",
  mirrors: "net/netfilter/xt_HL.c:ttl_tg()",
  examples: ["--ttl-set 64", "--ttl-inc 1", "--ttl-dec 2"],
  refusal: "TTL: You must specify an action",
});
