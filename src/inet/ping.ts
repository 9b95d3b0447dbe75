import { deliver } from "../core/drop.js";
import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { isIcmp, NO_BYTES } from "../wire/frame.js";
import { ICMP_HLEN } from "../wire/icmp.js";
import { type IpAddress, IPV4_ANY, isAnyAddress } from "../wire/ip.js";
import { familyOf } from "./families.js";
import { ipIds } from "./ip-id.js";
import type { EchoListener } from "./ping-sockets.js";
import type { IcmpErrorNotice } from "./protocols.js";
import { attachRoute } from "./route-entry.js";
import { isRoute } from "./route-output.js";
import { boundDeviceOf, type SocketOwner, socketInfo } from "./socket-owner.js";
import { socketPorts } from "./socket-ports.js";
import { formatEndpoints, traceSocket } from "./socket-trace.js";

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
  readonly source: IpAddress;
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
  localAddress: IpAddress = IPV4_ANY;
  /** The echo id. */
  localPort = 0;
  remoteAddress: IpAddress = IPV4_ANY;
  readonly remotePort = 0;
  onReply: ((reply: EchoReply) => void) | undefined;
  /** An ICMP error about one of the requests: what ping prints a line of its own for. */
  onError: ((errno: Errno, notice: IcmpErrorNotice) => void) | undefined;

  constructor(ns: NetworkNamespace, owner: SocketOwner = {}) {
    this.ns = ns;
    this.owner = owner;
  }

  /** Sends one request; the result is that of sendmsg(). */
  send(destination: IpAddress, request: EchoRequest = {}): SendResult {
    const { data = NO_BYTES, sequence = 1 } = request;
    if (data.length > MAX_ECHO) return this.#fail("EMSGSIZE");
    const { owner, tos, ns } = this;
    const family = familyOf(destination);
    const { echoProtocol: protocol } = family;
    if (isAnyAddress(this.localAddress)) this.localAddress = family.any;
    const route = family.route(ns, {
      destination,
      source: this.localAddress,
      mark: owner.mark ?? 0,
      oif: boundDeviceOf(ns, owner),
      tos,
      uid: owner.uid,
      protocol,
    });
    if (!isRoute(route)) return this.#fail(route.error);
    this.remoteAddress = destination;
    this.#register(request.id ?? 0);
    const source = isAnyAddress(this.localAddress)
      ? (route.source ?? family.any)
      : this.localAddress;
    const fits = family.headerLength + ICMP_HLEN + data.length <= route.mtu;
    if (request.dontFragment === true && !fits) return this.#fail("EMSGSIZE");
    const fields = {
      source,
      destination,
      protocol,
      tos,
      ttl: this.ttl,
      id: () => (request.dontFragment === true ? 0 : ipIds(ns).next(source, destination, protocol)),
      dontFragment: fits ? "path" : "never",
    } as const;
    const rest = ((this.localPort << 16) | (sequence & 0xffff)) >>> 0;
    const frame = family.packet(route, fields, family.echoRequest(rest), data, ns);
    const skb = newSkb(ns, frame, "ping");
    skb.mark = owner.mark ?? 0;
    skb.ignoreDf = request.dontFragment !== true;
    skb.socket = socketInfo(formatEndpoints(this), owner);
    if (ns.sim.trace !== undefined) traceSocket(ns, this, "sent", `echo request, seq ${sequence}`);
    attachRoute(skb, route, "output");
    const result = ns.sim.softirq.systemCall(() => family.localOut(skb));
    return result === undefined ? undefined : this.#fail(result);
  }

  close(): void {
    const table = familyOf(this.remoteAddress).echoListeners(this.ns);
    if (table.get(this.localPort) === this) table.delete(this.localPort);
    this.localPort = 0;
  }

  receive(skb: SkBuff): boolean {
    const { network, transport, payload } = skb.frame;
    if (network === undefined || network.kind === "arp") return false;
    if (transport === undefined || !isIcmp(transport)) return false;
    deliver(skb, "socket icmp");
    const sequence = transport.rest & 0xffff;
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "received", `echo reply, seq ${sequence}`);
    const ttl = network.kind === "ipv4" ? network.ttl : network.hopLimit;
    this.onReply?.({ source: network.source, sequence, ttl, data: payload, skb });
    return true;
  }

  error(notice: IcmpErrorNotice): void {
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "error", `error ${notice.errno}`, notice.errno);
    this.onError?.(notice.errno, notice);
  }

  #register(id: number): void {
    const table = familyOf(this.remoteAddress).echoListeners(this.ns);
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
