import { deliver } from "../core/drop.js";
import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { NO_BYTES } from "../wire/frame.js";
import { ICMP_ECHO } from "../wire/icmp.js";
import { IPV4_ANY, type Ipv4 } from "../wire/ip.js";
import { IPPROTO_ICMP } from "../wire/ipv4.js";
import { ipIds } from "./ip-id.js";
import { ipDontFragment, ipLocalOut, ipPacket } from "./ip-local-out.js";
import { type EchoListener, pingSockets } from "./ping-sockets.js";
import type { IcmpErrorNotice } from "./protocols.js";
import { attachRoute } from "./route-entry.js";
import { isRoute, routeOutput } from "./route-output.js";
import { boundDeviceOf, type SocketOwner, socketInfo } from "./socket-owner.js";
import { socketPorts } from "./socket-ports.js";
import { formatEndpoints, traceSocket } from "./socket-trace.js";
import { ipv4Sysctls } from "./sysctls.js";

/** One echo request. */
export interface EchoRequest {
  /** 1..65535; a free one is chosen when it is left out or 0. */
  readonly id?: number | undefined;
  readonly sequence?: number | undefined;
  readonly data?: Uint8Array | undefined;
  /** `ping -M do`: fail with EMSGSIZE instead of being cut in pieces. */
  readonly dontFragment?: boolean | undefined;
}

/** An answer: who sent it, with which TTL it came. */
export interface EchoReply {
  readonly source: Ipv4;
  readonly sequence: number;
  readonly ttl: number;
  readonly data: Uint8Array;
  readonly skb: SkBuff;
}

const MAX_ECHO = 65_507;

/** What `ping` uses: a raw socket that sends echo requests and takes the replies with its id. */
export class PingSocket implements EchoListener {
  readonly protocol = "icmp";
  readonly ns: NetworkNamespace;
  readonly owner: SocketOwner;
  ttl: number | undefined;
  tos = 0;
  localAddress: Ipv4 = IPV4_ANY;
  /** The echo id. */
  localPort = 0;
  remoteAddress: Ipv4 = IPV4_ANY;
  readonly remotePort = 0;
  onReply: ((reply: EchoReply) => void) | undefined;
  /** An ICMP error about one of the requests: what ping prints a line of its own for. */
  onError: ((errno: Errno, notice: IcmpErrorNotice) => void) | undefined;

  constructor(ns: NetworkNamespace, owner: SocketOwner = {}) {
    this.ns = ns;
    this.owner = owner;
  }

  /** Sends one request; the result is that of sendmsg(). */
  send(destination: Ipv4, request: EchoRequest = {}): SendResult {
    const { data = NO_BYTES, sequence = 1 } = request;
    if (data.length > MAX_ECHO) return this.#fail("EMSGSIZE");
    const { owner, tos, ns } = this;
    const route = routeOutput(ns, {
      destination,
      source: this.localAddress,
      mark: owner.mark ?? 0,
      oif: boundDeviceOf(ns, owner),
      tos,
      uid: owner.uid,
      protocol: IPPROTO_ICMP,
    });
    if (!isRoute(route)) return this.#fail(route.error);
    this.remoteAddress = destination;
    this.#register(request.id ?? 0);
    const source = this.localAddress === IPV4_ANY ? (route.source ?? IPV4_ANY) : this.localAddress;
    const fits = 28 + data.length <= route.mtu;
    if (request.dontFragment === true && !fits) return this.#fail("EMSGSIZE");
    const fields = {
      source,
      destination,
      protocol: IPPROTO_ICMP,
      tos,
      ttl: this.ttl ?? ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl"),
      id: request.dontFragment === true ? 0 : ipIds(ns).next(source, destination, IPPROTO_ICMP),
      dontFragment: fits && ipDontFragment(ns, route),
    };
    const rest = ((this.localPort << 16) | (sequence & 0xffff)) >>> 0;
    const skb = newSkb(
      ns,
      ipPacket(fields, { kind: "icmp", type: ICMP_ECHO, code: 0, rest }, data),
      "ping",
    );
    skb.mark = owner.mark ?? 0;
    skb.ignoreDf = request.dontFragment !== true;
    skb.socket = socketInfo(formatEndpoints(this), owner);
    if (ns.sim.trace !== undefined) traceSocket(ns, this, "sent", `echo request, seq ${sequence}`);
    attachRoute(skb, route, "output");
    const result = ipLocalOut(skb);
    return result === undefined ? undefined : this.#fail(result);
  }

  close(): void {
    if (pingSockets(this.ns).get(this.localPort) === this)
      pingSockets(this.ns).delete(this.localPort);
    this.localPort = 0;
  }

  receive(skb: SkBuff): boolean {
    const { network, transport, payload } = skb.frame;
    if (network?.kind !== "ipv4" || transport?.kind !== "icmp") return false;
    deliver(skb, "socket icmp");
    const sequence = transport.rest & 0xffff;
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "received", `echo reply, seq ${sequence}`);
    this.onReply?.({ source: network.source, sequence, ttl: network.ttl, data: payload, skb });
    return true;
  }

  error(notice: IcmpErrorNotice): void {
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "error", `error ${notice.errno}`, notice.errno);
    this.onError?.(notice.errno, notice);
  }

  #register(id: number): void {
    const table = pingSockets(this.ns);
    if (this.localPort !== 0 && (id === 0 || id === this.localPort)) return;
    this.close();
    const chosen =
      id === 0 ? socketPorts(this.ns).anyPort((candidate) => !table.has(candidate)) : id;
    this.localPort = chosen ?? 1;
    table.set(this.localPort, this);
  }

  #fail(errno: Errno): Errno {
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "error", `send failed with ${errno}`, errno);
    return errno;
  }
}
