import type { UiState } from "./ui-state.js";

/** Holds the state that is shown, and tells whoever draws it when it changes. */
export class Store {
  #state: UiState;
  #listener: (state: UiState) => void = () => undefined;

  constructor(state: UiState) {
    this.#state = state;
  }

  get(): UiState {
    return this.#state;
  }

  set(state: UiState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#listener(state);
  }

  onChange(listener: (state: UiState) => void): void {
    this.#listener = listener;
  }
}
