import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff, SocketInfo } from "../core/skbuff.js";
import { type IpAddress, isAnyAddress } from "../wire/ip.js";
import { IPPROTO_UDP } from "../wire/ipv4.js";
import { UDP_HLEN } from "../wire/udp.js";
import type { InetFamily, SocketFlow, SocketRoute } from "./family.js";
import { inet4 } from "./family4.js";
import { ipIds } from "./ip-id.js";
import { attachRoute } from "./route-entry.js";
import { type OutputRefusal, isRoute } from "./route-output.js";
import { bindRefusal } from "./bind-refusal.js";
import { boundDeviceOf, type SocketOwner, socketInfo } from "./socket-owner.js";
import { SocketGroups } from "./socket-groups.js";
import { socketPorts } from "./socket-ports.js";
import { formatEndpoints, traceSocket } from "./socket-trace.js";
import { udpTable } from "./udp-table.js";

/** A datagram that came in. `source` is who sent it, as this namespace saw it. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
  readonly skb: SkBuff;
}

/** What a datagram holds at most: the IPv6 length field does not count the header. */
const MAX_DATAGRAM = { ipv4: 65_507, ipv6: 65_527 } as const;

/** A UDP socket of either family. Mirrors struct udp_sock, net/ipv4/udp.c and net/ipv6/udp.c. */
export class UdpSocket {
  readonly protocol = "udp";
  readonly ns: NetworkNamespace;
  readonly owner: SocketOwner;
  readonly family: InetFamily;
  /** What was bound, 0.0.0.0 or :: for any address. */
  boundAddress: IpAddress;
  /** The address datagrams must come to; a connected socket has the one it sends from. */
  localAddress: IpAddress;
  localPort = 0;
  remoteAddress: IpAddress;
  /** 0 while not connected. */
  remotePort = 0;
  /** IP_TTL or IPV6_UNICAST_HOPS; undefined for the namespace's default. */
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
  #route: SocketRoute | undefined;
  #id: number | undefined;
  #info: SocketInfo | undefined;
  readonly #groups: SocketGroups;

  constructor(ns: NetworkNamespace, owner: SocketOwner = {}, family: InetFamily = inet4) {
    this.ns = ns;
    this.owner = owner;
    this.family = family;
    this.boundAddress = family.any;
    this.localAddress = family.any;
    this.remoteAddress = family.any;
    this.#groups = new SocketGroups(ns, family);
  }

  /** What bind() compares. */
  get address(): IpAddress {
    return this.boundAddress;
  }

  /** IP_ADD_MEMBERSHIP or IPV6_JOIN_GROUP. Every socket of a port gets what comes to a group that its host is in (IP_MULTICAST_ALL). */
  join(group: IpAddress, device?: string): Errno | undefined {
    return this.#groups.join(group, device);
  }

  /** IP_DROP_MEMBERSHIP or IPV6_LEAVE_GROUP. */
  leave(group: IpAddress, device?: string): Errno | undefined {
    return this.#groups.leave(group, device);
  }

  /** Binds to an address (0.0.0.0 or :: for any) and a port (0 for a free one). */
  bind(address: IpAddress, port: number): Errno | undefined {
    if (this.localPort !== 0) return "EINVAL";
    const refused = bindRefusal(this.ns, address, port, this.owner);
    if (refused !== undefined) return refused;
    const table = udpTable(this.ns);
    const wanted = { address, owner: this.owner };
    const chosen =
      port === 0
        ? socketPorts(this.ns).anyPort((candidate) => table.isFree(wanted, candidate))
        : port;
    if (chosen === undefined || !table.isFree(wanted, chosen)) return "EADDRINUSE";
    this.boundAddress = address;
    this.localAddress = address;
    this.localPort = chosen;
    table.add(this);
    return undefined;
  }

  /** Fixes the peer, the route and the own address. Mirrors net/ipv4/datagram.c:__ip4_datagram_connect(). */
  connect(address: IpAddress, port: number): Errno | undefined {
    const to = isAnyAddress(address) ? this.family.loopback : address;
    const route = this.family.connect(this.ns, this.#flow(to, port));
    if (!isRoute(route)) return this.#fail(route.error);
    if (route.type === "broadcast" && !this.broadcast) return this.#fail("EACCES");
    if (this.localPort === 0) {
      const refused = this.bind(this.family.any, 0);
      if (refused !== undefined) return this.#fail(refused);
    }
    if (isAnyAddress(this.localAddress)) this.localAddress = route.source ?? this.family.any;
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
  sendTo(data: Uint8Array, address: IpAddress, port: number, cause?: SkBuff): SendResult {
    if (port === 0) return this.#fail("EINVAL");
    if (this.localPort === 0) {
      const refused = this.bind(this.family.any, 0);
      if (refused !== undefined) return this.#fail(refused === "EADDRINUSE" ? "EAGAIN" : refused);
    }
    const to = isAnyAddress(address) ? this.family.loopback : address;
    const route = this.#lookup(to, port);
    return isRoute(route) ? this.#transmit(route, data, to, port, cause) : this.#fail(route.error);
  }

  close(): void {
    this.#groups.leaveAll();
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

  #lookup(destination: IpAddress, port: number): SocketRoute | OutputRefusal {
    return this.family.route(this.ns, this.#flow(destination, port));
  }

  #flow(destination: IpAddress, port: number): SocketFlow {
    const { owner, tos } = this;
    return {
      destination,
      source: this.localAddress,
      mark: owner.mark ?? 0,
      oif: boundDeviceOf(this.ns, owner),
      tos,
      uid: owner.uid,
      anySource: owner.transparent,
      protocol: IPPROTO_UDP,
      sourcePort: this.localPort,
      destinationPort: port,
    };
  }

  /** Mirrors udp_sendmsg() and udp_send_skb(). */
  #transmit(
    route: SocketRoute,
    data: Uint8Array,
    destination: IpAddress,
    port: number,
    cause: SkBuff | undefined,
  ): SendResult {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) return this.#fail(pending);
    if (data.length > MAX_DATAGRAM[this.family.name]) return this.#fail("EMSGSIZE");
    if (route.type === "broadcast" && !this.broadcast) return this.#fail("EACCES");
    const { family } = this;
    const source = isAnyAddress(this.localAddress)
      ? (route.source ?? family.any)
      : this.localAddress;
    const fits = family.headerLength + UDP_HLEN + data.length <= route.mtu;
    const fields = {
      source,
      destination,
      protocol: IPPROTO_UDP,
      tos: this.tos,
      ttl: this.ttl,
      id: () => this.#nextId(source, destination),
      dontFragment: fits ? "path" : "never",
    } as const;
    const frame = family.packet(
      route,
      fields,
      { kind: "udp", sourcePort: this.localPort, destinationPort: port },
      data,
      this.ns,
    );
    const skb = newSkb(this.ns, frame, "udp send", cause);
    skb.mark = this.owner.mark ?? 0;
    skb.ignoreDf = true;
    skb.socket = this.#info ??= socketInfo(formatEndpoints(this), this.owner);
    if (this.ns.sim.trace !== undefined)
      traceSocket(this.ns, this, "sent", `sent ${data.length} bytes`);
    attachRoute(skb, route, "output");
    const result = this.ns.sim.softirq.systemCall(() => family.localOut(skb));
    return result === undefined || result === "ENOBUFS" ? undefined : this.#fail(result);
  }

  #nextId(source: IpAddress, destination: IpAddress): number {
    if (this.#id === undefined) return ipIds(this.ns).next(source, destination, IPPROTO_UDP);
    this.#id = (this.#id + 1) & 0xffff;
    return this.#id;
  }
}
