import type { Pod } from "kubernetes-types/core/v1.js";
import { keyOf, type Loaded, nameOf } from "../objects.js";

/** A kubelet's own folder, in the directory of its node: `worker-1/etc/kubernetes/manifests/dns.yaml`. */
const MANIFESTS = /(?:^|\/)([a-z0-9]([-a-z0-9.]*[a-z0-9])?)\/etc\/kubernetes\/manifests\/[^/]+$/;

/**
 * Pods that stand in a node's folder of manifests, as the kubelet shows them to the API: named after the node, bound to
 * it. One whose mirror is given as well is left out. Mirrors pkg/kubelet/config/common.go:applyDefaults().
 */
export function withStaticPods(pods: readonly Loaded<Pod>[]): readonly Loaded<Pod>[] {
  if (!pods.some(({ origin }) => MANIFESTS.test(origin.file))) return pods;
  const known = new Set(pods.map(({ object }) => keyOf(object)));
  return pods.flatMap((loaded) => {
    const node = MANIFESTS.exec(loaded.origin.file)?.[1];
    if (node === undefined) return [loaded];
    const object = staticPod(loaded.object, node);
    return known.has(keyOf(object)) ? [] : [{ object, origin: loaded.origin }];
  });
}

function staticPod(pod: Pod, node: string): Pod {
  const { metadata, spec } = pod;
  return {
    ...pod,
    metadata: {
      ...metadata,
      name: `${nameOf(pod)}-${node}`,
      annotations: {
        ...metadata?.annotations,
        "kubernetes.io/config.source": "file",
        "kubernetes.io/config.mirror": "",
      },
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node, uid: "", controller: true }],
    },
    spec: { containers: [], ...spec, nodeName: node },
  };
}
