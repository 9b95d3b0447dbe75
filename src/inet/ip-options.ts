const IPOPT_END = 0;
const IPOPT_NOOP = 1;
const IPOPT_RECORD_ROUTE = 7;
const IPOPT_TIMESTAMP = 68;
const IPOPT_LSRR = 131;
const IPOPT_SSRR = 137;
const IPV4_HLEN = 20;

/** What the options of a packet ask for. */
export type OptionsCheck =
  | {
      readonly kind: "bad";
      /** The offending byte, counted from the start of the IP header. */ readonly pointer: number;
    }
  | {
      readonly kind: "good";
      readonly sourceRoute: boolean;
      /** Routers would write into them: record route, timestamps, an accepted source route. */
      readonly changes: boolean;
    };

/** Walks the options of a header. Mirrors the checks of net/ipv4/ip_options.c:__ip_options_compile() on lengths. */
export function checkOptions(options: Uint8Array): OptionsCheck {
  let sourceRoute = false;
  let changes = false;
  for (let at = 0; at < options.length;) {
    const kind = options[at];
    if (kind === IPOPT_END) break;
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) return { kind: "bad", pointer: IPV4_HLEN + at };
    if (kind === IPOPT_LSRR || kind === IPOPT_SSRR) sourceRoute = true;
    if (kind === IPOPT_RECORD_ROUTE || kind === IPOPT_TIMESTAMP || sourceRoute) changes = true;
    at += length;
  }
  return { kind: "good", sourceRoute, changes };
}
