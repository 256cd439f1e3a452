/** The two calls that tests make of React's renderer, which brings no types of its own. */
declare module 'react-dom' {
  export function flushSync(action: () => void): void;
}

declare module 'react-dom/client' {
  export function createRoot(place: Element): { render(element: unknown): void };
}
