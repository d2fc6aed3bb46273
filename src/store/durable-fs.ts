/**
 * The file-system calls by which files are written and removed, as a port: a simulation can lose and tear what was not synced. The
 * rule that is relied on: bytes written before a `sync` of their file that resolved survive a power failure, and so do names
 * created, moved or removed before a `sync` of their folder. Anything else may survive whole, in part or not at all, in any order.
 */
import type { BigIntStats } from 'node:fs'
import { copyFile, link, lstat, mkdir, open, rename, rmdir, unlink } from 'node:fs/promises'

/** An open file or folder. */
export interface DurableFile {
  writeFile(bytes: Uint8Array): Promise<void>
  /** Seconds since 1970. */
  utimes(accessed: number, modified: number): Promise<void>
  stat(options: { bigint: true }): Promise<BigIntStats>
  sync(): Promise<void>
  close(): Promise<void>
}

/** As the functions of `node:fs/promises` of the same names; errors carry the system's codes. */
export interface DurableFs {
  /** `wx` creates a file, `r` opens a file or folder. */
  open(path: string, flags: 'r' | 'wx'): Promise<DurableFile>
  lstat(path: string, options: { bigint: true }): Promise<BigIntStats>
  mkdir(path: string, options: { recursive: true }): Promise<string | undefined>
  copyFile(from: string, to: string, mode: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  rmdir(path: string): Promise<void>
}

export const nodeDurableFs: DurableFs = { open, lstat, mkdir, copyFile, rename, link, unlink, rmdir }
