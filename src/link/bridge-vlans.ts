import { drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { tagFrame, untagFrame, vlanOf } from "../wire/vlan.js";

/** The VLANs that one port, or the bridge itself, is in. Mirrors struct net_bridge_vlan_group. */
export class BridgeVlans {
  /** Where frames without a tag belong; undefined drops them. */
  pvid: number | undefined = 1;
  readonly #untagged = new Map<number, boolean>([[1, true]]);

  has(vid: number): boolean {
    return this.#untagged.has(vid);
  }

  /** Whether frames of a VLAN leave without their tag. */
  leavesUntagged(vid: number): boolean {
    return this.#untagged.get(vid) === true;
  }

  /** Adds or changes a VLAN, 1..4094. One that was the PVID and is added without the word is it no more. Mirrors __vlan_add_flags(). */
  add(
    vid: number,
    { pvid, untagged }: { readonly pvid: boolean; readonly untagged: boolean },
  ): void {
    if (pvid) this.pvid = vid;
    else if (this.pvid === vid) this.pvid = undefined;
    this.#untagged.set(vid, untagged);
  }

  /** False when it was not there. */
  remove(vid: number): boolean {
    if (this.pvid === vid) this.pvid = undefined;
    return this.#untagged.delete(vid);
  }

  /** In the order of their numbers. */
  ids(): readonly number[] {
    return [...this.#untagged.keys()].toSorted((a, b) => a - b);
  }
}

/**
 * The VLAN of a frame that comes in, whose tag is taken off for the way through the bridge; undefined when the frame may not
 * come in and is gone. A tag that tells only a priority counts as none. Differs: the priority in a tag is lost.
 * Mirrors net/bridge/br_vlan.c:__allowed_ingress().
 */
export function vlanIngress(skb: SkBuff, vlans: BridgeVlans): number | undefined {
  const tag = vlanOf(skb.frame) ?? 0;
  const vid = tag === 0 ? vlans.pvid : vlans.has(tag) ? tag : undefined;
  if (vid === undefined) {
    drop(skb, "NOT_SPECIFIED", "__allowed_ingress");
    return undefined;
  }
  skb.frame = untagFrame(skb.frame) ?? skb.frame;
  return vid;
}

/** Gives a frame of a VLAN the tag that a member sends it with. Mirrors net/bridge/br_vlan.c:br_handle_vlan(). */
export function vlanEgress(skb: SkBuff, vid: number, vlans: BridgeVlans): void {
  if (!vlans.leavesUntagged(vid)) skb.frame = tagFrame(skb.frame, vid);
}
