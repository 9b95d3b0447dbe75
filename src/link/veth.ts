import { netifReceiveSkb, NetDevice, packetTypeFor } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import type { SendResult } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import { type Micros, microseconds } from "../sim/time.js";
import type { Mac } from "../wire/ip.js";
import { frameLength } from "../wire/frame.js";
import { fitsMtu } from "./mtu.js";
import { allocateMac } from "./mac.js";

/** One end of a virtual cable. Mirrors drivers/net/veth.c. */
export class Veth extends NetDevice {
  override readonly kind = "veth";
  /** Time a frame needs to the other end. */
  delay: Micros = microseconds(0);
  peer: Veth | undefined;

  /** Both ends are up. */
  override get carrier(): boolean {
    return this.up && this.peer?.up === true;
  }

  override setUp(up: boolean): void {
    if (this.up === up) return;
    super.setUp(up);
    const { peer } = this;
    if (peer?.up !== true) return;
    this.ns.notify("carrier", this);
    peer.ns.notify("carrier", peer);
  }

  /** Takes both ends away. */
  override destroy(): void {
    const { peer } = this;
    super.destroy();
    this.peer = undefined;
    if (peer === undefined) return;
    peer.peer = undefined;
    peer.destroy();
  }

  /** Mirrors drivers/net/veth.c:veth_xmit() and net/core/dev.c:__dev_forward_skb2(). */
  override transmit(skb: SkBuff): SendResult {
    const { peer } = this;
    if (peer === undefined || !peer.up || !fitsMtu(skb.frame, peer.mtu)) {
      this.counters.txDropped++;
      if (peer !== undefined) peer.counters.rxDropped++;
      drop(skb, "NOT_SPECIFIED", "__dev_forward_skb2");
      return "ENOBUFS";
    }
    scrub(skb, peer.ns !== this.ns);
    skb.priority = 0;
    const { sim } = this.ns;
    const receive = (): void => {
      skb.packetType = packetTypeFor(skb.frame.link.destination, peer);
      peer.counters.rxBytes += frameLength(skb.frame);
      netifReceiveSkb(skb, peer);
    };
    if (this.delay === 0) sim.softirq.netifRx(receive);
    else sim.queue.after(this.delay, `${peer.name} rx`, () => sim.softirq.netifRx(receive));
    return undefined;
  }
}

/** Where one end of a pair is made. A MAC address that is not given is allocated. */
export interface VethEnd {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly mac?: Mac | undefined;
  readonly mtu?: number | undefined;
}

/** Makes a pair. The peer is registered first, as `ip link add` does: it gets the lower ifindex. Mirrors drivers/net/veth.c:veth_newlink(). */
export function createVethPair(
  sim: Simulation,
  end: VethEnd,
  peerEnd: VethEnd,
): readonly [Veth, Veth] {
  const mac = end.mac ?? allocateMac(sim);
  const peer = new Veth({
    name: peerEnd.name,
    ns: peerEnd.ns,
    mac: peerEnd.mac ?? allocateMac(sim),
    mtu: peerEnd.mtu ?? 1500,
  });
  const dev = new Veth({ name: end.name, ns: end.ns, mac, mtu: end.mtu ?? 1500 });
  dev.peer = peer;
  peer.peer = dev;
  peer.register();
  dev.register();
  return [dev, peer];
}

/** What a packet forgets on its way to another device. Mirrors net/core/skbuff.c:skb_scrub_packet(). */
export function scrub(skb: SkBuff, crossesNamespace: boolean): void {
  skb.route = undefined;
  skb.inDev = undefined;
  skb.ct = undefined;
  skb.nfTrace = false;
  skb.bridge = undefined;
  skb.socket = undefined;
  if (crossesNamespace) skb.mark = 0;
}
