import type { MatchExtension } from "../extension.js";
import { hopLimitMatch } from "../hop-limit.js";

/** `-m ttl`: the time to live. */
export const ttl: MatchExtension = hopLimitMatch(
  {
    name: "ttl",
    prefix: "ttl",
    family: "ipv4",
    mirrors: "net/netfilter/xt_hl.c:ttl_mt()",
    examples: ["--ttl-eq 64", "! --ttl-eq 64", "--ttl-lt 5", "--ttl-gt 5"],
    refusal: "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt",
  },
  { alias: "ttl" },
);
