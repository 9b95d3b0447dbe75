import type { NetworkNamespace } from "../../core/namespace.js";
import { familyOf } from "../../inet/families.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import { decodeDns, encodeDns } from "../../wire/dns.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../../wire/ip.js";
import { queryTcp } from "./tcp-query.js";
import type { Upstream, UpstreamReply, UpstreamRequest } from "./upstream.js";

/**
 * Asks other resolvers by packets from a namespace. `isModelled` says whether the world knows what is behind an address;
 * what it does not know is unknown, not a timeout.
 */
export function packetUpstream(
  ns: NetworkNamespace,
  isModelled: (address: string) => boolean,
): Upstream {
  return {
    exchange(request, then) {
      const match = /^(?:([\d.]+)|\[([^\]]+)\]):(\d+)$/.exec(request.server);
      const host = match?.[1] ?? match?.[2] ?? "";
      const port = Number(match?.[3]);
      const address = parseIpv4(host) ?? parseIpv6(host);
      if (address === undefined || !isModelled(host)) {
        return then({
          kind: "unknown",
          reason: `the world does not say what the resolver ${request.server} answers`,
        });
      }
      if (request.proto === "tcp") return exchangeTcp(ns, address, port, request, then);
      const socket = new UdpSocket(ns, {}, familyOf(address));
      const errno = socket.connect(address, port);
      if (errno !== undefined)
        return then({ kind: "error", text: `dial udp ${request.server}: ${errno}` });
      exchangeOver(ns, socket, request, then);
    },
  };
}

function exchangeTcp(
  ns: NetworkNamespace,
  address: IpAddress,
  port: number,
  request: UpstreamRequest,
  then: (reply: UpstreamReply) => void,
): void {
  const messages = [encodeDns(request.message)];
  queryTcp({ ns, address, port, messages, timeout: request.timeout }, ({ replies, failure }) => {
    const reply = replies[0] === undefined ? undefined : decodeDns(replies[0]);
    if (reply?.ok === true) return then({ kind: "reply", message: reply.value });
    const text =
      failure === "timeout"
        ? "i/o timeout"
        : failure === "closed"
          ? "EOF"
          : goErrno(failure ?? "EPROTO");
    then({ kind: "error", text: `read tcp ${request.server}: ${text}` });
  });
}

function exchangeOver(
  ns: NetworkNamespace,
  socket: UdpSocket,
  request: UpstreamRequest,
  then: (reply: UpstreamReply) => void,
): void {
  let done = false;
  const finish = (reply: UpstreamReply): void => {
    if (done) return;
    done = true;
    timer.cancel();
    socket.close();
    then(reply);
  };
  const timer = ns.sim.queue.after(request.timeout, `dns answer of ${request.server}`, () => {
    finish({ kind: "error", text: `read udp ${request.server}: i/o timeout` });
  });
  socket.onDatagram = (datagram) => {
    const reply = decodeDns(datagram.data);
    if (reply.ok && reply.value.id === request.message.id)
      finish({ kind: "reply", message: reply.value });
  };
  socket.onError = (errno) =>
    finish({ kind: "error", text: `read udp ${request.server}: ${goErrno(errno)}` });
  const refused = socket.send(encodeDns(request.message));
  if (typeof refused === "string")
    finish({ kind: "error", text: `write udp ${request.server}: ${goErrno(refused)}` });
}

function goErrno(errno: string): string {
  const texts: Record<string, string> = {
    ECONNREFUSED: "connection refused",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
    EPERM: "operation not permitted",
  };
  return texts[errno] ?? errno;
}
