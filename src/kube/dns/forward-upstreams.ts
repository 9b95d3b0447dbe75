import { parseIp } from "./address.js";
import type { Controller } from "./controller.js";

/** One resolver of a `forward`. */
export interface UpstreamAddress {
  /** `dns`, `tls`, `https`, … */
  readonly scheme: string;
  /** `10.0.0.1:53`, `[::1]:53`. */
  readonly server: string;
  readonly servername: string;
}

const ports: Record<string, string> = { dns: "53", tls: "853", https: "443" };

/**
 * The resolvers that the words after FROM name: addresses, URLs or a resolv.conf file.
 * Mirrors plugin/pkg/parse/host.go and plugin/forward/setup.go.
 */
export function parseUpstreams(c: Controller, words: readonly string[]): UpstreamAddress[] {
  const found = new Map<string, UpstreamAddress>();
  for (const word of words)
    for (const address of parseWord(c, word))
      found.set(`${address.scheme} ${address.server}`, address);
  if (found.size > 15) throw c.err(`more than 15 TOs configured: ${found.size}`);
  return [...found.values()];
}

function parseWord(c: Controller, word: string): UpstreamAddress[] {
  const match = /^([a-z0-9]+):\/\/(.*)$/s.exec(word);
  const scheme = match?.[1] ?? "dns";
  const rest = match?.[2] ?? word;
  if (ports[scheme] === undefined) {
    throw c.plain(`'${scheme}' is not supported as a destination protocol in forward: ${word}`);
  }
  if (scheme === "https" && rest.includes("/")) {
    throw c.plain(
      `paths are not allowed in HTTPS upstream addresses (the /dns-query path is used by default): ${word}`,
    );
  }
  const address = parseAddress(rest, scheme);
  if (address !== undefined) return [address];
  const text = scheme === "dns" ? c.readFile(rest) : undefined;
  if (text !== undefined) return nameservers(text);
  if (rest.includes("/")) throw c.plain(`not an IP address or file: "${word}"`);
  throw c.plain(
    `failed to resolve "${rest}": host names as upstreams are looked up when the server starts, which a world without resolvers cannot do`,
  );
}

/** `IP`, `IP:port`, `[v6]:port`, each with `%servername` behind the address. */
function parseAddress(text: string, scheme: string): UpstreamAddress | undefined {
  const port = ports[scheme] ?? "53";
  const bracket = /^\[([^\]%]+)(?:%([^\]]*))?\](?::(\d+))?$/.exec(text);
  const plain = /^([^%]*?)(?:%([^:]*))?(?::(\d+))?$/.exec(text);
  const bare = /^([^%]*)(?:%([^:]*))?$/.exec(text);
  for (const parts of [bracket, bare, plain]) {
    const ip = parts?.[1] === undefined ? undefined : parseIp(parts[1]);
    if (ip === undefined || parts?.[1] === undefined) continue;
    const host = ip.family === 6 ? `[${parts[1]}]` : parts[1];
    const servername = scheme === "dns" ? "" : (parts[2] ?? "");
    return { scheme, server: `${host}:${parts[3] ?? port}`, servername };
  }
  return undefined;
}

function nameservers(text: string): UpstreamAddress[] {
  return text
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .flatMap((address) => {
      const ip = address === undefined ? undefined : parseIp(address.split("%")[0] ?? "");
      if (ip === undefined || address === undefined) return [];
      return [
        {
          scheme: "dns",
          server: `${ip.family === 6 ? `[${address}]` : address}:53`,
          servername: "",
        },
      ];
    });
}
