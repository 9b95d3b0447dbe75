import { ETH_HLEN } from "../wire/ethernet.js";
import { type Frame, frameLength } from "../wire/frame.js";

/** Room for a VLAN tag, which no MTU counts. */
const VLAN_HLEN = 4;

/** Whether a device of that MTU takes the frame from another device. Mirrors include/linux/netdevice.h:__is_skb_forwardable(). */
export function fitsMtu(frame: Frame, mtu: number): boolean {
  return frameLength(frame) <= mtu + ETH_HLEN + VLAN_HLEN;
}
