import type { Ingress } from "kubernetes-types/networking/v1.js";
import type { Place, UserErrorDetails } from "../../base/errors.js";
import type { Ipv4Prefix } from "../../wire/ip.js";
import type { FieldPath } from "../load/source-text.js";
import type { Loaded, Origin } from "../objects.js";
import type { Targets } from "./targets.js";

/** Almost certainly wrong, suspicious, worth knowing. */
export type Severity = "error" | "warning" | "info";

/** Something about a policy that a person should look at. spec/network-policy.md section 5. */
export interface Finding {
  /** The stable name: `selects-no-pod`. */
  readonly id: string;
  readonly severity: Severity;
  /** `NetworkPolicy shop/db-from-api`, `Pod shop/web-0`. */
  readonly object: string;
  readonly message: string;
  readonly help: string | undefined;
  readonly place: Place;
  readonly details: UserErrorDetails;
}

/** What lint knows besides the objects. */
export interface LintContext extends Targets {
  readonly ingresses?: readonly Loaded<Ingress>[] | undefined;
  readonly podCidr?: Ipv4Prefix | undefined;
  readonly serviceCidr?: Ipv4Prefix | undefined;
  /** Findings that only say what is so, one for each pod or policy. */
  readonly verbose?: boolean | undefined;
}

/** A finding at a field of an object. */
export function finding(
  severity: Severity,
  id: string,
  object: string,
  at: { readonly origin: Origin; readonly path: FieldPath },
  message: string,
  help?: string,
): Finding {
  const details = at.origin.details(at.path);
  return {
    id,
    severity,
    object,
    message,
    help,
    place: details.place ?? at.origin.placeOf(at.path),
    details: { ...details, help },
  };
}
