import { get16, put16 } from "./bytes.js";
import { ETH_HLEN, ETH_P_8021Q } from "./ethernet.js";
import { decodeFrame, encodeFrame, type Frame } from "./frame.js";

export const VLAN_HLEN = 4;
const VLAN_VID_MASK = 0x0fff;
/** The tag stands between the addresses and the EtherType. */
const TAG_AT = ETH_HLEN - 2;

/** The frame with a VLAN tag: its EtherType is 802.1Q, and its payload begins with the tag. IEEE 802.1Q §9. */
export function tagFrame(frame: Frame, id: number): Frame {
  const bytes = encodeFrame(frame);
  const payload = new Uint8Array(bytes.length - TAG_AT + 2);
  put16(payload, 0, id & VLAN_VID_MASK);
  payload.set(bytes.subarray(TAG_AT), 2);
  return {
    link: { ...frame.link, etherType: ETH_P_8021Q },
    network: undefined,
    transport: undefined,
    payload,
  };
}

/** The VLAN of a tagged frame, 0..4095; undefined for other frames. */
export function vlanOf({ link, payload }: Frame): number | undefined {
  if (link.etherType !== ETH_P_8021Q || payload.length < VLAN_HLEN) return undefined;
  return get16(payload, 0) & VLAN_VID_MASK;
}

/** The frame without its outer tag; undefined for one that has none, or whose inside is damaged. */
export function untagFrame(frame: Frame): Frame | undefined {
  if (vlanOf(frame) === undefined) return undefined;
  const whole = encodeFrame(frame);
  const bytes = new Uint8Array(whole.length - VLAN_HLEN);
  bytes.set(whole.subarray(0, TAG_AT));
  bytes.set(whole.subarray(TAG_AT + VLAN_HLEN), TAG_AT);
  const inner = decodeFrame(bytes);
  return inner.ok ? inner.value : undefined;
}
