import type { NodeEndpoint } from "./categorize.js";
import { because } from "./rendered-text.js";
import { endpointName, type NftPortRules } from "./nftables-port.js";

/**
 * The chains that choose an endpoint, and those of the endpoints. `between` is called when these chains and sets exist and hold
 * no rule, for the other chains of the service and for what comes first in them.
 */
export function writeNftEndpoints(rules: NftPortRules, between: () => void): void {
  const { script, port, state, settings, chains } = rules;
  const { affinitySeconds: seconds } = port;
  const names = new Map(
    state.reachable.map((endpoint) => [endpoint.text, endpointName(rules, endpoint)]),
  );
  const hasChains = !settings.layout.hairpinSet || seconds !== undefined;
  for (const endpoint of hasChains ? state.reachable : []) {
    const origin = because(
      `endpoint ${endpoint.text} of ${port.name}`,
      port.object,
      endpoint.object,
    );
    script.chain(`endpoint-${names.get(endpoint.text)}`, origin);
  }
  const choices = [
    { chain: chains.cluster, endpoints: state.cluster ?? [], why: `all endpoints of ${port.name}` },
    {
      chain: chains.local,
      endpoints: state.local ?? [],
      why: `endpoints of ${port.name} on this node`,
    },
  ].filter(({ endpoints }) => endpoints.length > 0);
  for (const { chain, why } of choices) script.chain(chain, because(why, port.object));
  between();
  for (const endpoint of seconds === undefined ? [] : state.reachable) {
    const address = settings.family === 4 ? "ipv4_addr" : "ipv6_addr";
    const body = `type ${address} ; flags dynamic,timeout ; timeout ${seconds}s`;
    const origin = because(
      `the clients of ${endpoint.text} in the last ${seconds} seconds`,
      port.object,
      endpoint.object,
    );
    script.set("set", `affinity-${names.get(endpoint.text)}`, body, origin);
  }
  for (const { chain, endpoints } of choices)
    writeChoice(rules, chain, endpoints, names, hasChains);
  for (const endpoint of state.reachable) {
    if (hasChains) writeEndpoint(rules, endpoint, names.get(endpoint.text) ?? "");
    if (settings.layout.hairpinSet && endpoint.isLocal) hairpinElement(rules, endpoint);
  }
}

/** Affinity first, then one rule that picks at random. */
function writeChoice(
  { script, port, settings }: NftPortRules,
  chain: string,
  endpoints: readonly NodeEndpoint[],
  names: ReadonlyMap<string, string>,
  hasChains: boolean,
): void {
  for (const endpoint of port.affinitySeconds === undefined ? [] : endpoints) {
    const name = names.get(endpoint.text) ?? "";
    script.rule(
      chain,
      `${settings.ip} saddr @affinity-${name} goto endpoint-${name}`,
      because(
        `a client of the last ${port.affinitySeconds} seconds stays with ${endpoint.text}`,
        port.object,
        endpoint.object,
      ),
    );
  }
  const random = `numgen random mod ${endpoints.length}`;
  const entries = endpoints.map((endpoint, index) =>
    hasChains
      ? `${index} : goto endpoint-${names.get(endpoint.text)}`
      : `${index} : ${endpoint.address.text} . ${endpoint.port}`,
  );
  const choice = hasChains
    ? `${random} vmap`
    : `meta l4proto ${port.protocol} dnat ${settings.ip} addr . port to ${random} map`;
  const origin = because(
    `one of ${endpoints.length} endpoints of ${port.name}`,
    port.object,
    ...endpoints.map(({ object }) => object),
  );
  script.rule(chain, `${choice} { ${entries.join(" , ")} }`, origin);
}

function writeEndpoint(rules: NftPortRules, endpoint: NodeEndpoint, name: string): void {
  const { script, port, settings, markAction } = rules;
  const { ip, layout } = settings;
  const chain = `endpoint-${name}`;
  const origin = because(`endpoint ${endpoint.text} of ${port.name}`, port.object, endpoint.object);
  if (!layout.hairpinSet) {
    const why = "an endpoint that reaches itself through its service is masqueraded";
    script.rule(chain, `${ip} saddr ${endpoint.address.text} ${markAction}`, {
      ...origin,
      why,
    });
  }
  if (port.affinitySeconds !== undefined) {
    const why = `the client stays with ${endpoint.text} for ${port.affinitySeconds} seconds`;
    script.rule(chain, `update @affinity-${name} { ${ip} saddr }`, {
      ...origin,
      why,
    });
  }
  script.rule(chain, `meta l4proto ${port.protocol} dnat to ${endpoint.text}`, origin);
}

function hairpinElement({ script, port }: NftPortRules, endpoint: NodeEndpoint): void {
  const { text } = endpoint.address;
  script.element(
    "hairpin-connections",
    `${text} . ${text} . ${port.protocol} . ${endpoint.port}`,
    because(
      `endpoint ${endpoint.text} reaches itself through ${port.name}`,
      port.object,
      endpoint.object,
    ),
  );
}
