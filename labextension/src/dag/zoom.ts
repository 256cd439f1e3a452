/** Size and place of a picture in the box that scrolls it: readable at first, whole on demand, dragged by its ground. */

const LEAST = 0.1;
const MOST = 3;
/** A picture shrinks to the box by itself, but never so far that names cannot be read: then it scrolls. */
const READABLE = 0.62;

export class Zoom {
  constructor(private readonly _box: HTMLElement) {
    _box.addEventListener('wheel', event => this._wheel(event), { passive: false });
    _box.addEventListener('pointerdown', event => this._grab(event));
  }

  /** Take a new picture; a factor that a person chose is kept. */
  show(root: SVGSVGElement | null): void {
    this._root = root;
    this._apply();
  }

  /** The factor in use; what the box makes of it, if nobody chose one. */
  get factor(): number {
    const root = this._root;
    if (this._factor !== null || root === null) {
      return this._factor ?? 1;
    }
    const shown = root.getBoundingClientRect().width;
    return shown > 0 ? shown / this._natural(root).width : 1;
  }

  /** Make it larger or smaller, and keep what is at (*x*, *y*) of the box where it is. */
  by(times: number, x: number = this._box.clientWidth / 2, y: number = this._box.clientHeight / 2): void {
    const before = this.factor;
    this._factor = Math.min(MOST, Math.max(LEAST, before * times));
    const grown = this._factor / before;
    const { scrollLeft, scrollTop } = this._box;
    this._apply();
    this._box.scrollLeft = (scrollLeft + x) * grown - x;
    this._box.scrollTop = (scrollTop + y) * grown - y;
  }

  /** Make all of it visible at once. */
  fit(): void {
    if (this._root === null) {
      return;
    }
    const { width, height } = this._natural(this._root);
    const factor = Math.min(1, this._box.clientWidth / width, (this._mostHeight() ?? this._box.clientHeight) / height);
    this._factor = Number.isFinite(factor) && factor > 0 ? Math.max(LEAST, factor) : null;
    this._apply();
  }

  /** Back to the size it has by itself. */
  reset(): void {
    this._factor = null;
    this._apply();
  }

  private _natural(root: SVGSVGElement): { width: number; height: number } {
    const [, , width = 1, height = 1] = (root.getAttribute('viewBox') ?? '').split(' ').map(Number);
    // The padding round the picture (6 px a side) belongs to what must fit.
    return { width: width + 12, height: height + 12 };
  }

  private _mostHeight(): number | null {
    const most = parseFloat(getComputedStyle(this._box).maxHeight);
    return Number.isFinite(most) ? most : null;
  }

  /** As wide as the box, but not higher than the box may be as long as names can be read. */
  private _ownWidth(root: SVGSVGElement): string {
    const { width, height } = this._natural(root);
    const least = Math.round(width * READABLE);
    // In CSS: the picture is made before it is put into the page, and the limit may hang on the window's height.
    return `min(100%, max(${least}px, (var(--jp-flows-dag-max-height, 560px) - 14px) * ${(width / height).toFixed(4)}))`;
  }

  private _apply(): void {
    const root = this._root;
    if (root === null) {
      return;
    }
    const { width } = this._natural(root);
    const chosen = this._factor;
    root.style.width = chosen === null ? '' : `${Math.round(width * chosen) - 12}px`;
    root.style.maxWidth = chosen === null ? this._ownWidth(root) : 'none';
    root.style.minWidth = chosen === null ? `${Math.round(width * READABLE)}px` : '0';
  }

  private _wheel(event: WheelEvent): void {
    // A wheel alone scrolls; with Ctrl (or pinched on a touch pad, which says Ctrl too) it zooms.
    if (this._root === null || !(event.ctrlKey || event.metaKey)) {
      return;
    }
    event.preventDefault();
    const box = this._box.getBoundingClientRect();
    this.by(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }

  private _grab(event: PointerEvent): void {
    const target = event.target as Element;
    if (event.button !== 0 || event.pointerType !== 'mouse' || target.closest('svg') !== this._root || this._root === null) {
      return;
    }
    if (target.closest('[data-id]') !== null) {
      return;
    }
    const box = this._box;
    const from = { x: event.clientX + box.scrollLeft, y: event.clientY + box.scrollTop };
    const move = (next: PointerEvent): void => {
      box.scrollLeft = from.x - next.clientX;
      box.scrollTop = from.y - next.clientY;
    };
    const drop = (): void => {
      box.classList.remove('jp-mod-dragged');
      box.removeEventListener('pointermove', move);
    };
    box.setPointerCapture?.(event.pointerId);
    box.classList.add('jp-mod-dragged');
    box.addEventListener('pointermove', move);
    box.addEventListener('pointerup', drop, { once: true });
    box.addEventListener('pointercancel', drop, { once: true });
  }

  private _root: SVGSVGElement | null = null;
  private _factor: number | null = null;
}
