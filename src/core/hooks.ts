import type { Frame } from "../wire/frame.js";
import type { NetDevice } from "./device.js";
import { drop, type DropReason } from "./drop.js";
import type { Errno, SendResult } from "./errno.js";
import type { NetworkNamespace } from "./namespace.js";
import type { SkBuff } from "./skbuff.js";
import { told } from "./trace.js";

/** The points of netfilter, by the names the tools print. */
export type Hook =
  | "PREROUTING"
  | "INPUT"
  | "FORWARD"
  | "OUTPUT"
  | "POSTROUTING"
  | "INGRESS"
  | "EGRESS";
/** The hook lists. An nftables `inet` chain registers in ipv4 and ipv6. */
export type Family = "ipv4" | "ipv6" | "bridge" | "arp" | "netdev";

/** Priorities of the ipv4 and ipv6 lists. Mirrors include/uapi/linux/netfilter_ipv4.h. */
export const NF_IP_PRI_FIRST = -2147483648;
export const NF_IP_PRI_CONNTRACK_DEFRAG = -400;
export const NF_IP_PRI_RAW = -300;
export const NF_IP_PRI_CONNTRACK = -200;
export const NF_IP_PRI_MANGLE = -150;
export const NF_IP_PRI_NAT_DST = -100;
export const NF_IP_PRI_FILTER = 0;
export const NF_IP_PRI_SECURITY = 50;
export const NF_IP_PRI_NAT_SRC = 100;
export const NF_IP_PRI_CONNTRACK_HELPER = 300;
export const NF_IP_PRI_CONNTRACK_CONFIRM = 2147483647;

/** What travels with a packet along one hook. Mirrors struct nf_hook_state. */
export interface HookState {
  readonly hook: Hook;
  readonly family: Family;
  readonly ns: NetworkNamespace;
  readonly in: NetDevice | undefined;
  readonly out: NetDevice | undefined;
}

/** What a hook entry says of a packet. Mirrors NF_ACCEPT, NF_DROP, NF_STOLEN. */
export type Verdict =
  | { readonly kind: "accept" }
  | {
      readonly kind: "drop";
      readonly reason: DropReason;
      /** The function the kernel's trace would name. */
      readonly where: string;
      /** What a local send() returns; EPERM unless told. */
      readonly errno?: Errno | undefined;
      /** A local send() is told that all went well. Mirrors nf_queue(), which answers 0 when it frees a packet. */
      readonly isSilent?: boolean | undefined;
    }
  | { readonly kind: "stolen"; readonly by: string };

export const ACCEPT: Verdict = { kind: "accept" };

/** What happens after every entry of the hook accepted. Mirrors okfn. */
export type Okfn = (skb: SkBuff) => SendResult;

/** One listener on one hook: a table, conntrack, NAT, br_netfilter. */
export interface HookEntry {
  /** As a trace shows it: `nat`, `conntrack`, `inet fw input`. */
  readonly name: string;
  readonly hook: Hook;
  readonly priority: number;
  /** `okfn` is for an entry that steals the packet and carries it on itself. */
  run(skb: SkBuff, state: HookState, okfn: Okfn): Verdict;
}

/** All hook lists of one namespace, each ordered by priority. */
export class Hooks {
  readonly #lists = new Map<Family, Map<Hook, readonly HookEntry[]>>();

  /** Adds an entry before those of the same priority. Mirrors net/netfilter/core.c:nf_hook_entries_grow(). */
  register(family: Family, entry: HookEntry): void {
    const list = this.list(family, entry.hook);
    const at = list.findIndex((other) => other.priority >= entry.priority);
    this.#replace(family, entry.hook, list.toSpliced(at < 0 ? list.length : at, 0, entry));
  }

  unregister(family: Family, entry: HookEntry): void {
    const list = this.list(family, entry.hook);
    this.#replace(
      family,
      entry.hook,
      list.filter((other) => other !== entry),
    );
  }

  /** The entries of one hook in the order they run. The array is never changed, only replaced. */
  list(family: Family, hook: Hook): readonly HookEntry[] {
    return this.#lists.get(family)?.get(hook) ?? NO_ENTRIES;
  }

  #replace(family: Family, hook: Hook, list: readonly HookEntry[]): void {
    const ofFamily = this.#lists.get(family) ?? new Map<Hook, readonly HookEntry[]>();
    this.#lists.set(family, ofFamily.set(hook, list));
  }
}

const NO_ENTRIES: readonly HookEntry[] = [];

/** Shows a packet to every entry of a hook, then calls `okfn`. Mirrors include/linux/netfilter.h:NF_HOOK(). */
export function nfHook(skb: SkBuff, state: HookState, okfn: Okfn): SendResult {
  return nfHookAfter(Number.NEGATIVE_INFINITY, skb, state, okfn);
}

/** As `nfHook`, but only entries with a priority above `priority` run: for one that stole a packet and gives it back. */
export function nfHookAfter(
  priority: number,
  skb: SkBuff,
  state: HookState,
  okfn: Okfn,
): SendResult {
  const { sim } = state.ns;
  for (const entry of state.ns.hooks.list(state.family, state.hook)) {
    if (entry.priority <= priority) continue;
    const before: Frame = skb.frame;
    const verdict = entry.run(skb, state, okfn);
    // Whoever stole the packet has carried it on: what changed since was told where it happened.
    if (skb.frame !== before && verdict.kind !== "stolen") {
      sim.trace?.(
        told(skb, {
          kind: "rewrite",
          by: entry.name,
          hook: state.hook,
          in: state.in?.name,
          out: state.out?.name,
          before,
          after: skb.frame,
        }),
      );
    }
    if (verdict.kind === "accept") continue;
    if (verdict.kind === "stolen") return undefined;
    drop(skb, verdict.reason, verdict.where);
    return verdict.isSilent === true ? undefined : (verdict.errno ?? "EPERM");
  }
  return okfn(skb);
}
