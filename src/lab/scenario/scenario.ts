import type { UserErrorDetails } from "../../base/errors.js";
import type { Expectation } from "../../core/scenario-recording.js";
import type { InlineObject } from "../../kube/load.js";
import type { Micros } from "../../sim/time.js";

/** A scenario file as it was read: nothing in it was looked up in a world yet. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly file: string;
  /** Worlds that the file names, relative to itself; empty when it names none. */
  readonly worlds: readonly string[];
  readonly seed: number | undefined;
  readonly settings: ScenarioSettings;
  readonly steps: readonly ScenarioStep[];
}

/** How the agents of the nodes behave. */
export interface ScenarioSettings {
  /** kube-proxy forgets UDP connections to endpoints that are gone. */
  readonly conntrackCleanup: boolean;
  /** How long after a change of objects kube-proxy writes its rules, and the policy engine its own. */
  readonly proxyDelay: Micros;
  readonly policyDelay: Micros;
}

export interface ScenarioStep {
  readonly action: Action;
  /** From the start of the scenario; undefined for right after the step before. */
  readonly at: Micros | undefined;
  /** From the end of the step before. */
  readonly after: Micros | undefined;
  readonly about: string;
  readonly expect: Expectation | undefined;
  /** What an error of the whole step says, and one about a field of its action. */
  readonly details: UserErrorDetails;
  detailsOf(...path: readonly (string | number)[]): UserErrorDetails;
}

/** An object of the cluster by name: `Pod shop/api-1`. */
export interface ObjectName {
  /** As written: `pod`, `svc`, `NetworkPolicy`. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** What an error about it says. */
  readonly details: UserErrorDetails;
}

export interface ConnectionRequest {
  readonly from: string;
  readonly to: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  /** 0 lets the kernel choose. */
  readonly sourcePort: number;
  /** How long its program waits for an answer. */
  readonly patience: Micros;
  readonly data: string;
}

export type Action =
  | { readonly kind: "apply"; readonly objects: readonly InlineObject[] }
  | {
      readonly kind: "delete";
      readonly object: ObjectName;
      /** Undefined for the pod's own terminationGracePeriodSeconds. */
      readonly grace: Micros | undefined;
      /** How long after SIGTERM the pod's programs end; undefined when they wait to be killed. */
      readonly exits: Micros | undefined;
    }
  | { readonly kind: "patch"; readonly object: ObjectName; readonly merge: InlineObject }
  | { readonly kind: "ready"; readonly pods: readonly PodFlag[] }
  | { readonly kind: "probe"; readonly pods: readonly PodFlag[] }
  | { readonly kind: "stop" | "start"; readonly pod: PodName }
  | {
      /** The node's wire is cut, or whole again. */
      readonly kind: "down" | "up";
      readonly node: string;
      readonly details: UserErrorDetails;
    }
  | { readonly kind: "run"; readonly commands: readonly TypedCommand[] }
  | { readonly kind: "open"; readonly name: string; readonly request: ConnectionRequest }
  | { readonly kind: "request"; readonly request: ConnectionRequest }
  | {
      readonly kind: "send";
      readonly name: string;
      readonly data: string;
      readonly patience: Micros;
    }
  | { readonly kind: "close"; readonly name: string }
  | { readonly kind: "wait"; readonly time: Micros };

/** A pod by `namespace/name`. */
export interface PodName {
  readonly key: string;
  /** What an error about it says. */
  readonly details: UserErrorDetails;
}

/** Whether a pod is ready, or its readiness probe succeeds. */
export interface PodFlag {
  readonly pod: PodName;
  readonly is: boolean;
}

export interface TypedCommand {
  /** A node, a pod, or `outside`. */
  readonly ns: string;
  readonly argv: readonly string[];
  readonly stdin: string | undefined;
}
