import type { MatchExtension } from "../extension.js";
import { optionsHeader } from "./options-header.js";

/** `-m hbh` of IPv6: the hop-by-hop options header. */
export const hbh: MatchExtension = optionsHeader("hbh", "net/ipv6/netfilter/ip6t_hbh.c:hbh_mt6()");
