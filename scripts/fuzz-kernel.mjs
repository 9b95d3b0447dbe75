// `npm run fuzz:kernel -- --seed N --count M [--hands H] [--out DIR] [--no-shrink] [--print]`: docs/fuzzing.md.
import { createViteServer } from "vitest/node";

const server = await createViteServer({
  configFile: false,
  logLevel: "error",
  server: { middlewareMode: true, watch: null, hmr: false, ws: false },
  optimizeDeps: { noDiscovery: true },
});
try {
  const { main } = await server.ssrLoadModule("/test/fuzz-kernel/main.ts");
  process.exitCode = await main(process.argv.slice(2));
} finally {
  await server.close();
}
