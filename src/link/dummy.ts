import { NetDevice } from "../core/device.js";
import { deliver } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";

/** A device that holds addresses and swallows what is sent to it. Mirrors drivers/net/dummy.c. */
export class Dummy extends NetDevice {
  override readonly kind = "dummy";

  override transmit(skb: SkBuff): undefined {
    deliver(skb, "dummy");
  }
}
