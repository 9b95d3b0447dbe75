import type { TraceRequest } from "../lab/trace.js";

/** A request as `hopwise trace` and the command line take it; what is as usual is left out. */
export function commandLineOf(request: TraceRequest | undefined): string {
  if (request === undefined) return "";
  const { source, destination, protocol, sourcePort, ttl, seed, endpoint, oneWay, inputDevice } =
    request;
  const { family } = request;
  return [
    source,
    destination,
    ...(protocol === "tcp" ? [] : ["--proto", protocol]),
    ...(sourcePort === 40_000 ? [] : ["--sport", String(sourcePort)]),
    ...(ttl === undefined ? [] : ["--ttl", String(ttl)]),
    ...(seed === 1 ? [] : ["--seed", String(seed)]),
    ...(endpoint === undefined ? [] : ["--endpoint", endpoint]),
    ...(inputDevice === undefined ? [] : ["--in", inputDevice]),
    ...(oneWay ? ["--one-way"] : []),
    ...(family === undefined ? [] : [`-${family}`]),
  ].join(" ");
}
