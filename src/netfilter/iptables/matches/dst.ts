import type { MatchExtension } from "../extension.js";
import { optionsHeader } from "./options-header.js";

/** `-m dst` of IPv6: the destination options header. */
export const dst: MatchExtension = optionsHeader("dst", "net/ipv6/netfilter/ip6t_hbh.c:hbh_mt6()");
