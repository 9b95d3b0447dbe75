import type { NodeEndpoint } from "./categorize.js";
import { because, type LineOrigin } from "./rendered-text.js";
import { protocolMatch, type PortRules } from "./iptables-port.js";
import { endpointChain } from "./names.js";
import type { ObjectRef } from "./objects.js";
import type { ServicePort } from "./service-port.js";

/** The chains that choose an endpoint, and one chain for each endpoint that can be reached from this node. */
export function writeEndpointChains(rules: PortRules): void {
  const { port, state, chains, nat } = rules;
  const names = new Map(
    state.reachable.map(({ text }) => [text, endpointChain(port.name, port.protocol, text)]),
  );
  const choices = [
    { chain: chains.cluster, endpoints: state.cluster ?? [], why: `all endpoints of ${port.name}` },
    {
      chain: chains.local,
      endpoints: state.local ?? [],
      why: `endpoints of ${port.name} on this node`,
    },
  ].filter(({ endpoints }) => endpoints.length > 0);
  for (const { chain, why } of choices) nat.chain(chain, because(why, port.object));
  for (const { chain, endpoints } of choices) writeChoice(rules, chain, endpoints, names);
  for (const endpoint of state.reachable)
    writeEndpoint(rules, endpoint, names.get(endpoint.text) ?? "");
}

/** One rule an endpoint, each with an equal share of what the rules before it left; affinity comes first. */
function writeChoice(
  { port, settings, nat }: PortRules,
  chain: string,
  endpoints: readonly NodeEndpoint[],
  names: ReadonlyMap<string, string>,
): void {
  const { affinitySeconds: seconds } = port;
  const head = ({ text }: NodeEndpoint): string =>
    settings.endpointComments
      ? `-A ${chain} -m comment --comment "${port.name} -> ${text}"`
      : `-A ${chain}`;
  for (const endpoint of seconds === undefined ? [] : endpoints) {
    const to = names.get(endpoint.text) ?? "";
    nat.rule(
      `${head(endpoint)} -m recent --name ${to} --rcheck --seconds ${seconds} --reap -j ${to}`,
      because(
        `a client of the last ${seconds} seconds stays with ${endpoint.text}`,
        port.object,
        endpoint.object,
      ),
    );
  }
  for (const [index, endpoint] of endpoints.entries()) {
    const left = endpoints.length - index;
    const share = left > 1 ? ` -m statistic --mode random --probability ${probability(left)}` : "";
    nat.rule(
      `${head(endpoint)}${share} -j ${names.get(endpoint.text) ?? ""}`,
      new EndpointOrigin(port, endpoint, `${index + 1} of ${endpoints.length}`),
    );
  }
}

function writeEndpoint(
  { port, settings, nat }: PortRules,
  endpoint: NodeEndpoint,
  chain: string,
): void {
  const comment = settings.endpointComments ? ` -m comment --comment ${port.name}` : "";
  const recent = port.affinitySeconds === undefined ? "" : ` -m recent --name ${chain} --set`;
  const origin = new EndpointOrigin(port, endpoint, endpoint.text);
  nat.chain(chain, origin);
  nat.rule(
    `-A ${chain}${comment} -s ${endpoint.address.text} -j KUBE-MARK-MASQ`,
    new EndpointOrigin(port, endpoint, undefined),
  );
  nat.rule(
    `-A ${chain}${comment}${recent} ${protocolMatch(port)} -j DNAT --to-destination ${endpoint.text}`,
    origin,
  );
}

/** Why a rule of an endpoint is there. Put into words when somebody asks: a large cluster has hundreds of thousands. */
class EndpointOrigin implements LineOrigin {
  readonly by = "kube-proxy";
  readonly port: ServicePort;
  readonly endpoint: NodeEndpoint;
  readonly which: string | undefined;

  /** `which` tells the endpoint from the port's others; undefined for its guard against itself. */
  constructor(port: ServicePort, endpoint: NodeEndpoint, which: string | undefined) {
    this.port = port;
    this.endpoint = endpoint;
    this.which = which;
  }

  get objects(): readonly ObjectRef[] {
    return [this.port.object, this.endpoint.object];
  }

  get why(): string {
    return this.which === undefined
      ? "an endpoint that reaches itself through its service is masqueraded"
      : `endpoint ${this.which} of ${this.port.name}`;
  }
}

/** 1/n with ten decimals. Mirrors pkg/proxy/iptables/proxier.go:computeProbability(). */
export function probability(n: number): string {
  return (1 / n).toFixed(10);
}
