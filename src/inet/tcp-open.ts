import { randomBetween } from "../base/random.js";
import { isRoute } from "./route-output.js";
import { ipIds } from "./ip-id.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import type { TcpOptions } from "./tcp-options.js";
import { headersOf, routeOf, TIMESTAMP_LENGTH } from "./tcp-output.js";
import { advance } from "./tcp-sequence.js";

const DEFAULT_MSS = 536;
/** Follows from tcp_rmem[2] = 32 MiB, the default of 6.18. */
const WINDOW_SCALE = 10;
const FIRST_WINDOW = 65_535;

/** What an end starts with: a random sequence number, and the options its sysctls let it offer. Mirrors tcp_connect_init(). */
export function prepare(connection: TcpConnection): void {
  const { ns, out } = connection;
  const sysctls = ipv4Sysctls(ns);
  connection.initialSequence = randomBetween(ns.sim.random, 0, 0xffff_ffff);
  connection.timestampOffset =
    sysctls.get("net.ipv4.tcp_timestamps") === 1 ? randomBetween(ns.sim.random, 0, 0xffff_ffff) : 0;
  connection.timestamps = sysctls.get("net.ipv4.tcp_timestamps") !== 0;
  connection.sackPermitted = sysctls.get("net.ipv4.tcp_sack") !== 0;
  connection.in.windowScale = sysctls.get("net.ipv4.tcp_window_scaling") === 0 ? 0 : WINDOW_SCALE;
  connection.ipId = ipIds(ns).start();
  out.una = connection.initialSequence;
  out.sent = advance(connection.initialSequence, 1);
  out.end = out.sent;
  out.small = out.una;
}

/** The largest segment this end takes, and a first window that is a multiple of it. False when there is no way to the peer. */
export function prepareRoute(connection: TcpConnection, segmentOptions: number): boolean {
  const route = connection.route ?? routeOf(connection);
  if (!isRoute(route)) return false;
  const least = connection.family.leastMss(connection.ns);
  connection.advertisedMss = Math.max(route.mtu - headersOf(connection), least);
  const mss = connection.advertisedMss - segmentOptions;
  connection.in.window = Math.floor(FIRST_WINDOW / mss) * mss;
  return true;
}

/** Takes what the peer offers in its SYN or SYN-ACK; what only one side knows is not used. */
export function agree(connection: TcpConnection, options: TcpOptions): void {
  const { out, in: received } = connection;
  connection.timestamps &&= options.timestamp !== undefined;
  connection.sackPermitted &&= options.sackPermitted === true;
  if (options.windowScale === undefined) received.windowScale = 0;
  else out.windowScale = received.windowScale === 0 ? 0 : options.windowScale;
  if (connection.timestamps) received.recentTimestamp = options.timestamp?.[0] ?? 0;
  const headers = headersOf(connection);
  const mtu = connection.route?.mtu ?? DEFAULT_MSS + headers;
  const mss = Math.min(options.mss ?? DEFAULT_MSS, mtu - headers);
  out.mss = Math.max(mss, 88) - (connection.timestamps ? TIMESTAMP_LENGTH : 0);
}
