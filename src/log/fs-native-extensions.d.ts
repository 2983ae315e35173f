/** Types of the two functions of `fs-native-extensions` that disk.ts uses; it brings none. */
declare module 'fs-native-extensions' {
  /** False when another open file holds the lock. Closing the file releases it. */
  export function tryLock(fd: number): boolean;
}
