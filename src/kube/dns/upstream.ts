import type { DnsMessage } from "../../wire/dns-message.js";
import type { Micros } from "../../sim/time.js";

/** One question put to one resolver. */
export interface UpstreamRequest {
  /** `203.0.113.53:53`, `[2001:db8::1]:53`. */
  readonly server: string;
  readonly proto: "udp" | "tcp";
  readonly message: DnsMessage;
  readonly timeout: Micros;
}

/** What came of it. `unknown` says that the world does not tell what this resolver answers. */
export type UpstreamReply =
  | { readonly kind: "reply"; readonly message: DnsMessage }
  | { readonly kind: "error"; readonly text: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** How a server reaches other resolvers. `then` is called once, at once or later in simulated time. */
export interface Upstream {
  exchange(request: UpstreamRequest, then: (reply: UpstreamReply) => void): void;
}

/** The resolvers of a world that has none. */
export const noUpstream: Upstream = {
  exchange(request, then) {
    then({
      kind: "unknown",
      reason: `the world does not say what the resolver ${request.server} answers`,
    });
  },
};
