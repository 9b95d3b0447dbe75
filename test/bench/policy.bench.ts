import { bench, describe } from "vitest";
import { connectivityMatrix } from "../../src/kube/policy/matrix.js";
import { type PolicyObjects, policyWorld } from "../../src/kube/policy/world.js";
import { bigWorld } from "../kube/policy/big-world.js";
import { loaded } from "../kube/policy/cases.js";

const objects = bigWorld({ pods: 10_000, policies: 1_000, seed: 1 });
const first = connectivityMatrix(policyWorld(objects), { grouped: true });

/** One policy denies what it allowed. */
function edited(): PolicyObjects {
  const [policy, ...others] = objects.networkPolicies;
  const networkPolicies =
    policy === undefined
      ? []
      : [
          loaded({
            ...policy.object,
            spec: { ...policy.object.spec, podSelector: {}, ingress: [] },
          }),
          ...others,
        ];
  return { ...objects, networkPolicies };
}

describe("matrix over 10,000 pods and 1,000 policies (budget 10 s)", () => {
  const options = { iterations: 3, warmupIterations: 0, time: 0, warmupTime: 0 };
  bench(
    "from nothing",
    () => void connectivityMatrix(policyWorld(objects), { grouped: true }),
    options,
  );
  bench(
    "again, after one policy was edited",
    () => void connectivityMatrix(policyWorld(edited()), { grouped: true, previous: first }),
    options,
  );
});
