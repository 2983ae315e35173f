/** How wide a text will be, so that a label is drawn only where it fits. */

export function textWidth(text: string, sizePx: number, weight = 400): number {
  const context = new OffscreenCanvas(1, 1).getContext('2d');
  if (context === null) return text.length * sizePx * 0.7;
  context.font = `${weight} ${sizePx}px ${getComputedStyle(document.documentElement).fontFamily}`;
  return context.measureText(text).width;
}
