import { safeText } from "../base/safe-text.js";
import { DnsFront } from "../lab/dns-front.js";
import { loadWorld } from "../lab/world.js";
import type { DnsServeOptions } from "./commands/dns.js";
import { openDnsSockets } from "./dns-sockets.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise dns serve`: answers until a signal comes. Gives 130 after Ctrl-C, 143 after SIGTERM, 1 when CoreDNS ends itself. */
export async function dnsServeCommand(options: DnsServeOptions, streams: Streams): Promise<number> {
  const paths = worldPaths(options.world);
  const world = loadWorld(readWorlds(paths), paths.join(" "));
  const report = (line: string): void => streams.err(`${safeText(line)}\n`);
  let stop: (code: number) => void = () => undefined;
  const stopped = new Promise<number>((done) => {
    stop = done;
  });
  const front = new DnsFront(world, {
    from: options.from,
    seed: options.seed,
    startTime: Math.floor(Date.now() / 1000),
    report,
    ended: () => stop(1),
  });
  const sockets = await openDnsSockets(front, options.port, report);
  streams.out(
    `${front.serverName} of ${world.name} answers on 127.0.0.1 port ${sockets.port}, UDP and TCP, as ${front.client} (${front.address}) sees it\n`,
  );
  process.once("SIGINT", () => stop(130));
  process.once("SIGTERM", () => stop(143));
  const code = await stopped;
  await sockets.close();
  const { queries, replies } = sockets.counts;
  streams.out(`${queries} messages came, ${replies} replies went\n`);
  return code;
}
