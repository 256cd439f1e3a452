/** Plain elements, for the parts round the picture. */

export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== '') {
    element.className = className;
  }
  element.append(...children);
  return element;
}

export function button(className: string, text: string, press: () => void): HTMLButtonElement {
  const element = html('button', className, text);
  element.type = 'button';
  element.addEventListener('click', press);
  return element;
}
