import type { Simulation } from "../../core/simulation.js";
import type { Upstream } from "./upstream.js";
import { noUpstream } from "./upstream.js";
import type { WorldResolver } from "./world-resolver.js";

/** Reaches the resolvers of a world without a network: for a server that stands alone. */
export function worldUpstream(sim: Simulation, resolvers: readonly WorldResolver[]): Upstream {
  return {
    exchange(request, then) {
      const resolver = resolvers.find(({ address }) => `${address}:53` === request.server);
      if (resolver === undefined) return noUpstream.exchange(request, then);
      const answer = resolver.ask(request.message);
      if (answer.kind !== "drop") return then(answer);
      const text = `read ${request.proto} ${request.server}: i/o timeout`;
      sim.queue.after(request.timeout, `dns answer of ${request.server}`, () =>
        then({ kind: "error", text }),
      );
    },
  };
}
