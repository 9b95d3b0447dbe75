import type { Outcome } from "./outcome.js";

/** What each outcome means, and what to do next. */
export const OUTCOMES: Readonly<
  Record<Outcome, { readonly means: string; readonly next: string }>
> = {
  DELIVERED: {
    means: "the request reached a program that answers, and the answer reached the sender",
    next: "nothing to do",
  },
  "LEFT-CLUSTER": {
    means:
      "the packet was routed to an address outside the world that was given; what happens there is not known",
    next: "add what is outside to the world when its answer matters",
  },
  DENIED: {
    means:
      "a NetworkPolicy selects one of the two pods and none of its rules allows this connection",
    next: "see which policy and which rule comes closest",
  },
  DROPPED: {
    means:
      "the packet was thrown away without a word: by a rule, a chain's policy, or a check of the kernel (rp_filter, hairpin off, TTL, conntrack)",
    next: "read the deciding rule or reason; the sender only sees a timeout",
  },
  REJECTED: {
    means: "a rule refused the packet and told the sender so, with an ICMP error or a TCP reset",
    next: "read the deciding rule; the sender fails at once",
  },
  "NO-ROUTE": {
    means: "a host on the way has no usable route to the destination",
    next: "hopwise show routes NODE shows its table",
  },
  "NO-NEIGHBOUR": {
    means: "the next hop did not answer ARP, so the packet could not be addressed",
    next: "check that the next hop is up and on that network: hopwise show neigh NODE",
  },
  "NO-ENDPOINT": {
    means: "the Service has no ready endpoint; kube-proxy refuses its packets with an ICMP error",
    next: "check the Service's selector and the readiness of its pods: hopwise show endpoints NS/NAME",
  },
  "NO-NAME": {
    means: "the name was not found by the cluster's DNS",
    next: "check the name, its namespace, and the search list of the pod",
  },
  "NOT-LISTENING": {
    means: "the packet reached the host, and no program listens on that port there",
    next: "compare the Service's targetPort with the ports the pod's containers declare",
  },
  LOOP: {
    means: "the packet was sent round between the same hosts until its TTL was used up",
    next: "compare the routes of the hosts it passed twice",
  },
  UNKNOWN: {
    means: "there is no certain answer: something on the way is not modelled, or input is missing",
    next: "hopwise check WORLD lists what is missing",
  },
};
