import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff, SocketInfo } from "../core/skbuff.js";
import { IPV4_ANY, IPV4_LOOPBACK, type Ipv4 } from "../wire/ip.js";
import { IPPROTO_UDP, IPV4_HLEN } from "../wire/ipv4.js";
import { UDP_HLEN } from "../wire/udp.js";
import { ipIds } from "./ip-id.js";
import { ipDontFragment, ipLocalOut, ipPacket } from "./ip-local-out.js";
import { attachRoute, type RouteEntry } from "./route-entry.js";
import {
  type OutputFlow,
  type OutputRefusal,
  isRoute,
  routeConnect,
  routeOutput,
} from "./route-output.js";
import { bindRefusal, boundDeviceOf, type SocketOwner, socketInfo } from "./socket-owner.js";
import { socketPorts } from "./socket-ports.js";
import { formatEndpoints, traceSocket } from "./socket-trace.js";
import { ipv4Sysctls } from "./sysctls.js";
import { udpTable } from "./udp-table.js";

/** A datagram that came in. `source` is who sent it, as this namespace saw it. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly source: Ipv4;
  readonly sourcePort: number;
  readonly destination: Ipv4;
  readonly destinationPort: number;
  readonly skb: SkBuff;
}

const MAX_DATAGRAM = 65_507;

/** A UDP socket. Mirrors struct udp_sock and net/ipv4/udp.c. */
export class UdpSocket {
  readonly protocol = "udp";
  readonly ns: NetworkNamespace;
  readonly owner: SocketOwner;
  /** What was bound, 0.0.0.0 for any address. */
  boundAddress: Ipv4 = IPV4_ANY;
  /** The address datagrams must come to; a connected socket has the one it sends from. */
  localAddress: Ipv4 = IPV4_ANY;
  localPort = 0;
  remoteAddress: Ipv4 = IPV4_ANY;
  /** 0 while not connected. */
  remotePort = 0;
  /** IP_TTL; undefined for the namespace's default. */
  ttl: number | undefined;
  tos = 0;
  /** SO_BROADCAST. */
  broadcast = false;
  onDatagram: ((datagram: Datagram) => void) | undefined;
  onError: ((errno: Errno) => void) | undefined;
  /** Takes and ends what comes in: the socket of a tunnel. Mirrors udp_sk(sk)->encap_rcv. */
  encapsulation: ((skb: SkBuff) => void) | undefined;
  /** An error nobody was told yet: the next call returns it. Mirrors sk->sk_err. */
  #pending: Errno | undefined;
  #route: RouteEntry | undefined;
  #id: number | undefined;
  #info: SocketInfo | undefined;

  constructor(ns: NetworkNamespace, owner: SocketOwner = {}) {
    this.ns = ns;
    this.owner = owner;
  }

  /** Binds to an address (0.0.0.0 for any) and a port (0 for a free one). */
  bind(address: Ipv4, port: number): Errno | undefined {
    if (this.localPort !== 0) return "EINVAL";
    const refused = bindRefusal(this.ns, address, port, this.owner);
    if (refused !== undefined) return refused;
    const table = udpTable(this.ns);
    const chosen =
      port === 0
        ? socketPorts(this.ns).anyPort((candidate) => table.isFree(address, candidate))
        : port;
    if (chosen === undefined || !table.isFree(address, chosen)) return "EADDRINUSE";
    this.boundAddress = address;
    this.localAddress = address;
    this.localPort = chosen;
    table.add(this);
    return undefined;
  }

  /** Fixes the peer, the route and the own address. Mirrors net/ipv4/datagram.c:__ip4_datagram_connect(). */
  connect(address: Ipv4, port: number): Errno | undefined {
    const to = address === IPV4_ANY ? IPV4_LOOPBACK : address;
    const route = routeConnect(this.ns, this.#flow(to, port));
    if (!isRoute(route)) return this.#fail(route.error);
    if (route.type === "broadcast" && !this.broadcast) return this.#fail("EACCES");
    if (this.localPort === 0) {
      const refused = this.bind(IPV4_ANY, 0);
      if (refused !== undefined) return this.#fail(refused);
    }
    if (this.localAddress === IPV4_ANY) this.localAddress = route.source ?? IPV4_ANY;
    this.remoteAddress = to;
    this.remotePort = port;
    this.#route = route;
    this.#id = ipIds(this.ns).start();
    this.#info = undefined;
    if (this.ns.sim.trace !== undefined) traceSocket(this.ns, this, "connected", "connected");
    return undefined;
  }

  /** Sends to the connected peer. */
  send(data: Uint8Array, cause?: SkBuff): SendResult {
    if (this.remotePort === 0) return this.#fail("ENOTCONN");
    if (this.#route?.isValid !== true) {
      const route = this.#lookup(this.remoteAddress, this.remotePort);
      if (!isRoute(route)) return this.#fail(route.error);
      this.#route = route;
    }
    return this.#transmit(this.#route, data, this.remoteAddress, this.remotePort, cause);
  }

  /** Sends to anyone. */
  sendTo(data: Uint8Array, address: Ipv4, port: number, cause?: SkBuff): SendResult {
    if (port === 0) return this.#fail("EINVAL");
    if (this.localPort === 0) {
      const refused = this.bind(IPV4_ANY, 0);
      if (refused !== undefined) return this.#fail(refused === "EADDRINUSE" ? "EAGAIN" : refused);
    }
    const to = address === IPV4_ANY ? IPV4_LOOPBACK : address;
    const route = this.#lookup(to, port);
    return isRoute(route) ? this.#transmit(route, data, to, port, cause) : this.#fail(route.error);
  }

  close(): void {
    if (this.localPort === 0) return;
    udpTable(this.ns).remove(this);
    this.localPort = 0;
    if (this.ns.sim.trace !== undefined) traceSocket(this.ns, this, "closed", "closed");
  }

  /** For the protocol alone: an ICMP message brought an error to a connected socket. */
  raise(errno: Errno): void {
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "error", `error ${errno}`, errno);
    if (this.onError === undefined) this.#pending = errno;
    else this.onError(errno);
  }

  #fail(errno: Errno): Errno {
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "error", `send failed with ${errno}`, errno);
    return errno;
  }

  #lookup(destination: Ipv4, port: number): RouteEntry | OutputRefusal {
    return routeOutput(this.ns, this.#flow(destination, port));
  }

  #flow(destination: Ipv4, port: number): OutputFlow {
    const { owner, tos } = this;
    return {
      destination,
      source: this.localAddress,
      mark: owner.mark ?? 0,
      oif: boundDeviceOf(this.ns, owner),
      tos,
      uid: owner.uid,
      protocol: IPPROTO_UDP,
      sourcePort: this.localPort,
      destinationPort: port,
    };
  }

  /** Mirrors udp_sendmsg() and udp_send_skb(). */
  #transmit(
    route: RouteEntry,
    data: Uint8Array,
    destination: Ipv4,
    port: number,
    cause: SkBuff | undefined,
  ): SendResult {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) return this.#fail(pending);
    if (data.length > MAX_DATAGRAM) return this.#fail("EMSGSIZE");
    if (route.type === "broadcast" && !this.broadcast) return this.#fail("EACCES");
    const source = this.localAddress === IPV4_ANY ? (route.source ?? IPV4_ANY) : this.localAddress;
    const fits = IPV4_HLEN + UDP_HLEN + data.length <= route.mtu;
    const fields = {
      source,
      destination,
      protocol: IPPROTO_UDP,
      tos: this.tos,
      ttl: this.ttl ?? ipv4Sysctls(this.ns).get("net.ipv4.ip_default_ttl"),
      id: this.#nextId(source, destination),
      dontFragment: fits && ipDontFragment(this.ns, route),
    };
    const frame = ipPacket(
      fields,
      { kind: "udp", sourcePort: this.localPort, destinationPort: port },
      data,
    );
    const skb = newSkb(this.ns, frame, "udp send", cause);
    skb.mark = this.owner.mark ?? 0;
    skb.ignoreDf = true;
    skb.socket = this.#info ??= socketInfo(formatEndpoints(this), this.owner);
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "sent", `sent ${data.length} bytes`);
    attachRoute(skb, route, "output");
    const result = ipLocalOut(skb);
    return result === undefined || result === "ENOBUFS" ? undefined : this.#fail(result);
  }

  #nextId(source: Ipv4, destination: Ipv4): number {
    if (this.#id === undefined) return ipIds(this.ns).next(source, destination, IPPROTO_UDP);
    this.#id = (this.#id + 1) & 0xffff;
    return this.#id;
  }
}
