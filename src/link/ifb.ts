import { NetDevice, receiveClassified } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { microseconds } from "../sim/time.js";
import type { Mac } from "../wire/ip.js";

/** A device that what comes in elsewhere is sent through, to be shaped there, and then goes on where it came in. Mirrors drivers/net/ifb.c. */
export class Ifb extends NetDevice {
  override readonly kind = "ifb";

  constructor(options: {
    readonly name: string;
    readonly ns: NetworkNamespace;
    readonly mac: Mac;
  }) {
    super({ ...options, mtu: 1500 });
    this.noArp = true;
  }

  /** Mirrors ifb_xmit() and ifb_ri_tasklet(). */
  override transmit(skb: SkBuff): undefined {
    const from = skb.inDev;
    if (from === undefined) {
      this.counters.rxDropped++;
      drop(skb, "NOT_SPECIFIED", "ifb_xmit");
      return;
    }
    this.counters.rxPackets++;
    this.ns.sim.queue.after(microseconds(0), `${this.name} rx`, () => {
      skb.dev = from;
      receiveClassified(skb, from);
    });
  }
}
