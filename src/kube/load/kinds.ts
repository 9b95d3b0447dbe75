import {
  anything,
  count,
  fields,
  type FieldsShape,
  flag,
  intOrName,
  list,
  objectName,
  oneOf,
} from "./fields.js";
import { port, portOrNone, protocol, type Shape, stringMap, text, whole } from "./fields.js";
import type { Kind } from "../objects.js";

/*
 * The fields of the kinds we read, as of Kubernetes 1.34: one table for the check of values and for the check of
 * names. `status` is written by the cluster and not by people, so its unknown fields are let through.
 */

const ownerReference = fields(
  { kind: text, name: text, uid: text, controller: flag },
  "apiVersion blockOwnerDeletion",
);

const metadata = fields(
  {
    name: objectName,
    namespace: objectName,
    labels: stringMap,
    annotations: stringMap,
    ownerReferences: list(ownerReference),
    creationTimestamp: anything,
    deletionTimestamp: anything,
    uid: text,
  },
  "clusterName deletionGracePeriodSeconds finalizers generateName generation managedFields resourceVersion selfLink",
);

const expression = fields({
  key: text,
  operator: oneOf("In", "NotIn", "Exists", "DoesNotExist"),
  values: list(text),
});
const labelSelector = fields({ matchLabels: stringMap, matchExpressions: list(expression) });

const containerPort = fields({
  name: text,
  containerPort: port,
  hostPort: portOrNone,
  protocol,
  hostIP: text,
});
const environment = fields({ name: text, value: text }, "valueFrom");
const container = fields(
  {
    name: text,
    ports: list(containerPort),
    restartPolicy: text,
    args: list(text),
    command: list(text),
    env: list(environment),
  },
  `envFrom image imagePullPolicy lifecycle livenessProbe readinessProbe resizePolicy resources restartPolicyRules
   securityContext startupProbe stdin stdinOnce targetContainerName terminationMessagePath terminationMessagePolicy tty
   volumeDevices volumeMounts workingDir`,
);

const nodeExpression = fields({
  key: text,
  operator: oneOf("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
  values: list(text),
});
const nodeTerm = fields({
  matchExpressions: list(nodeExpression),
  matchFields: list(nodeExpression),
});
const nodeAffinity = fields(
  { requiredDuringSchedulingIgnoredDuringExecution: fields({ nodeSelectorTerms: list(nodeTerm) }) },
  "preferredDuringSchedulingIgnoredDuringExecution",
);
const toleration = fields({
  key: text,
  operator: oneOf("Exists", "Equal", "Lt", "Gt"),
  value: text,
  effect: oneOf("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
  tolerationSeconds: whole(-2_147_483_648, 2_147_483_647),
});
const dnsConfig = fields({
  nameservers: list(text),
  searches: list(text),
  options: list(fields({ name: text, value: text })),
});
const hostAlias = fields({ ip: text, hostnames: list(text) });

const podSpec = fields(
  {
    containers: list(container),
    initContainers: list(container),
    ephemeralContainers: list(container),
    nodeName: text,
    nodeSelector: stringMap,
    affinity: fields({ nodeAffinity }, "podAffinity podAntiAffinity"),
    tolerations: list(toleration),
    hostNetwork: flag,
    hostname: text,
    subdomain: text,
    dnsPolicy: oneOf("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    dnsConfig,
    hostAliases: list(hostAlias),
    enableServiceLinks: flag,
    readinessGates: list(fields({ conditionType: text })),
    setHostnameAsFQDN: flag,
  },
  `activeDeadlineSeconds automountServiceAccountToken hostIPC hostPID hostUsers hostnameOverride imagePullSecrets os
   overhead preemptionPolicy priority priorityClassName resourceClaims resources restartPolicy runtimeClassName
   schedulerName schedulingGates securityContext serviceAccount serviceAccountName shareProcessNamespace
   terminationGracePeriodSeconds topologySpreadConstraints volumes workloadRef`,
);

const podTemplate = fields({ metadata, spec: podSpec });

function object(parts: Readonly<Record<string, Shape>>, others = ""): FieldsShape {
  return fields({ apiVersion: text, kind: text, metadata, ...parts }, others);
}

function workload(read: Readonly<Record<string, Shape>>, others: string): FieldsShape {
  return object({ spec: fields({ template: podTemplate, ...read }, others), status: anything });
}

const jobSpec = fields(
  {
    template: podTemplate,
    selector: labelSelector,
    parallelism: count,
    completions: count,
    completionMode: oneOf("NonIndexed", "Indexed"),
    suspend: flag,
  },
  `activeDeadlineSeconds backoffLimit backoffLimitPerIndex managedBy manualSelector maxFailedIndexes podFailurePolicy
   podReplacementPolicy successPolicy ttlSecondsAfterFinished`,
);

const servicePort = fields({
  name: text,
  port,
  targetPort: intOrName,
  nodePort: portOrNone,
  protocol,
  appProtocol: text,
});
const trafficPolicy = oneOf("Cluster", "Local");
const serviceSpec = fields(
  {
    type: oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    selector: stringMap,
    ports: list(servicePort),
    clusterIP: text,
    clusterIPs: list(text),
    externalIPs: list(text),
    externalName: text,
    sessionAffinity: oneOf("None", "ClientIP"),
    sessionAffinityConfig: fields({ clientIP: fields({ timeoutSeconds: whole(1, 86_400) }) }),
    externalTrafficPolicy: trafficPolicy,
    internalTrafficPolicy: trafficPolicy,
    healthCheckNodePort: portOrNone,
    publishNotReadyAddresses: flag,
    loadBalancerIP: text,
    loadBalancerSourceRanges: list(text),
    allocateLoadBalancerNodePorts: flag,
    ipFamilies: list(oneOf("IPv4", "IPv6")),
    ipFamilyPolicy: oneOf("SingleStack", "PreferDualStack", "RequireDualStack"),
    trafficDistribution: text,
    topologyKeys: list(text),
  },
  "loadBalancerClass ipFamily",
);

const nameList = list(fields({ name: text }));
const endpoint = fields(
  {
    addresses: list(text),
    conditions: fields({ ready: flag, serving: flag, terminating: flag }),
    hostname: text,
    nodeName: text,
    zone: text,
    targetRef: anything,
    hints: fields({ forZones: nameList, forNodes: nameList }),
  },
  "deprecatedTopology topology",
);
const slicePort = fields({ name: text, port: portOrNone, protocol, appProtocol: text });
const legacyAddress = fields({ ip: text, hostname: text, nodeName: text, targetRef: anything });
const legacySubset = fields({
  addresses: list(legacyAddress),
  notReadyAddresses: list(legacyAddress),
  ports: list(slicePort),
});

const policyPeer = fields({
  podSelector: labelSelector,
  namespaceSelector: labelSelector,
  ipBlock: fields({ cidr: text, except: list(text) }),
});
const policyPort = fields({ port: intOrName, endPort: port, protocol });
const policySpec = fields({
  podSelector: labelSelector,
  policyTypes: list(oneOf("Ingress", "Egress")),
  ingress: list(fields({ from: list(policyPeer), ports: list(policyPort) })),
  egress: list(fields({ to: list(policyPeer), ports: list(policyPort) })),
});

const podPeer = {
  namespaces: labelSelector,
  pods: fields({ namespaceSelector: labelSelector, podSelector: labelSelector }),
};
const clusterPeer = fields({
  ...podPeer,
  nodes: labelSelector,
  networks: list(text),
  domainNames: list(text),
});
const adminPort = fields({
  portNumber: fields({ protocol, port }),
  portRange: fields({ protocol, start: port, end: port }),
  namedPort: text,
});
const destinationPort = fields({
  destinationPort: fields({ number: port, range: fields({ start: port, end: port }) }),
});
const clusterProtocol = fields({
  tcp: destinationPort,
  udp: destinationPort,
  sctp: destinationPort,
  destinationNamedPort: text,
});

/** The spec of a cluster-wide policy. `ports` is v1alpha1's and `protocols` v1alpha2's. */
function clusterPolicy(
  actions: Shape,
  parts: Readonly<Record<string, Shape>>,
  own: Readonly<Record<string, Shape>> = {},
): FieldsShape {
  const common = { name: text, action: actions, ...parts };
  const spec = fields({
    subject: fields(podPeer),
    ingress: list(fields({ ...common, from: list(clusterPeer) })),
    egress: list(fields({ ...common, to: list(clusterPeer) })),
    ...own,
  });
  return object({ spec, status: anything });
}

const ingressBackend = fields(
  { service: fields({ name: text, port: fields({ name: text, number: port }) }) },
  "resource",
);
const ingressPath = fields({
  path: text,
  pathType: oneOf("Exact", "Prefix", "ImplementationSpecific"),
  backend: ingressBackend,
});
const ingressSpec = fields({
  ingressClassName: text,
  defaultBackend: ingressBackend,
  rules: list(fields({ host: text, http: fields({ paths: list(ingressPath) }) })),
  tls: list(fields({ hosts: list(text), secretName: text })),
});

const taint = fields({ key: text, value: text, effect: text }, "timeAdded");
const nodeSpec = fields(
  {
    podCIDR: text,
    podCIDRs: list(text),
    providerID: text,
    taints: list(taint),
    unschedulable: flag,
  },
  "configSource externalID",
);
const condition = fields({ type: text, status: text });
const nodeStatus = fields({
  addresses: list(fields({ type: text, address: text })),
  allocatable: anything,
  conditions: list(condition),
});
const podStatus = fields({
  phase: text,
  podIP: text,
  podIPs: list(fields({ ip: text })),
  hostIP: text,
  conditions: list(condition),
  containerStatuses: list(fields({ ready: flag })),
});

const encapsulation = oneOf("Never", "CrossSubnet", "Always");
const poolSpec = fields(
  {
    cidr: text,
    blockSize: whole(0, 128),
    ipipMode: encapsulation,
    vxlanMode: encapsulation,
    natOutgoing: flag,
    disabled: flag,
    nodeSelector: text,
  },
  "allowedUses assignmentMode disableBGPExport ipip namespaceSelector nat-outgoing",
);
const affinitySpec = fields({ cidr: text, node: text, deleted: text }, "state type");

interface KindTable {
  readonly apiVersion: string;
  /** Another group under which the same objects are found. */
  readonly alias?: string;
  readonly namespaced: boolean;
  readonly shape: FieldsShape;
}

function kind(apiVersion: string, shape: FieldsShape, namespaced = true): KindTable {
  return { apiVersion, shape, namespaced };
}

/** Where Calico keeps its own objects; calicoctl shows them as of another group. */
const CALICO = "crd.projectcalico.org/v1";

/** Every kind we read. */
export const kinds: { readonly [K in Kind]: KindTable } = {
  Namespace: kind("v1", object({ spec: fields({}, "finalizers"), status: anything }), false),
  Node: kind("v1", object({ spec: nodeSpec, status: nodeStatus }), false),
  Pod: kind("v1", object({ spec: podSpec, status: podStatus })),
  Deployment: kind(
    "apps/v1",
    workload(
      { selector: labelSelector, replicas: count },
      "minReadySeconds paused progressDeadlineSeconds revisionHistoryLimit strategy",
    ),
  ),
  ReplicaSet: kind(
    "apps/v1",
    workload({ selector: labelSelector, replicas: count }, "minReadySeconds"),
  ),
  StatefulSet: kind(
    "apps/v1",
    workload(
      {
        selector: labelSelector,
        replicas: count,
        serviceName: text,
        ordinals: fields({ start: count }),
        podManagementPolicy: oneOf("OrderedReady", "Parallel"),
      },
      `minReadySeconds persistentVolumeClaimRetentionPolicy revisionHistoryLimit updateStrategy
       volumeClaimTemplates`,
    ),
  ),
  DaemonSet: kind(
    "apps/v1",
    workload({ selector: labelSelector }, "minReadySeconds revisionHistoryLimit updateStrategy"),
  ),
  ReplicationController: kind(
    "v1",
    workload({ selector: stringMap, replicas: count }, "minReadySeconds"),
  ),
  Job: kind("batch/v1", object({ spec: jobSpec, status: anything })),
  CronJob: kind(
    "batch/v1",
    object({
      spec: fields(
        { jobTemplate: fields({ metadata, spec: jobSpec }), suspend: flag },
        `concurrencyPolicy failedJobsHistoryLimit schedule startingDeadlineSeconds successfulJobsHistoryLimit timeZone`,
      ),
      status: anything,
    }),
  ),
  Service: kind("v1", object({ spec: serviceSpec, status: anything })),
  EndpointSlice: kind(
    "discovery.k8s.io/v1",
    object({
      addressType: oneOf("IPv4", "IPv6", "FQDN"),
      endpoints: list(endpoint),
      ports: list(slicePort),
    }),
  ),
  Endpoints: kind("v1", object({ subsets: list(legacySubset) })),
  ConfigMap: kind("v1", object({ data: stringMap, binaryData: anything, immutable: flag })),
  NetworkPolicy: kind("networking.k8s.io/v1", object({ spec: policySpec, status: anything })),
  AdminNetworkPolicy: kind(
    "policy.networking.k8s.io/v1alpha1",
    clusterPolicy(
      oneOf("Allow", "Deny", "Pass"),
      { ports: list(adminPort) },
      { priority: whole(0, 1_000) },
    ),
    false,
  ),
  BaselineAdminNetworkPolicy: kind(
    "policy.networking.k8s.io/v1alpha1",
    clusterPolicy(oneOf("Allow", "Deny"), { ports: list(adminPort) }),
    false,
  ),
  ClusterNetworkPolicy: kind(
    "policy.networking.k8s.io/v1alpha2",
    clusterPolicy(
      oneOf("Accept", "Deny", "Pass"),
      { protocols: list(clusterProtocol) },
      { tier: oneOf("Admin", "Baseline"), priority: whole(0, 1_000) },
    ),
    false,
  ),
  Ingress: kind("networking.k8s.io/v1", object({ spec: ingressSpec, status: anything })),
  IngressClass: kind(
    "networking.k8s.io/v1",
    object({ spec: fields({ controller: text }, "parameters") }),
    false,
  ),
  ServiceAccount: kind("v1", object({}, "automountServiceAccountToken imagePullSecrets secrets")),
  IPPool: { ...kind(CALICO, object({ spec: poolSpec }), false), alias: "projectcalico.org/v3" },
  BlockAffinity: kind(CALICO, object({ spec: affinitySpec }), false),
};

/** Kinds of the API groups above that exist and are not read: a kind of these groups that is in neither list is misspelt. */
export const unreadKinds: readonly string[] =
  `Binding ComponentStatus ControllerRevision Event LimitRange
  PersistentVolume PersistentVolumeClaim PodTemplate ResourceQuota Secret IPAddress ServiceCIDR IPAMBlock IPAMConfig IPAMHandle`.split(
    /\s+/,
  );
