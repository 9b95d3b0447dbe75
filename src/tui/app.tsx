import type { ReactNode } from "react";
import { useSyncExternalStore } from "react";
import { Frame } from "./frame.js";
import type { UiState } from "./ui-state.js";

/** Holds the state that is shown; everybody who draws it is told when it changes. */
export class Store {
  #state: UiState;
  readonly #listeners = new Set<() => void>();

  constructor(state: UiState) {
    this.#state = state;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly get = (): UiState => this.#state;

  set(state: UiState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

export function App({ store }: { readonly store: Store }): ReactNode {
  return <Frame state={useSyncExternalStore(store.subscribe, store.get)} />;
}
