import type { MatchExtension } from "../extension.js";
import { hopLimitMatch } from "../hop-limit.js";

/** `-m hl` of IPv6: the hop limit. */
export const hl: MatchExtension = hopLimitMatch({
  name: "hl",
  prefix: "hl",
  family: "ipv6",
  mirrors: "net/netfilter/xt_hl.c:hl_mt6()",
  examples: ["--hl-eq 255", "! --hl-eq 255", "--hl-lt 5", "--hl-gt 64"],
  refusal: "HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'",
});
